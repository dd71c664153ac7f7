//! What a policy asks of the objects that may go.

/// A queue of objects, from the one that has been in it longest to the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Queue {
    /// Of S3-FIFO: objects that have to show that they are used.
    Trial,
    /// Of every policy.
    Main,
}

/// The result of a question to a shelf.
pub(crate) type Answer<T, S> = Result<T, <S as Shelf>::Error>;

/// Objects that may go, in queues. Each is in one of them.
pub(crate) trait Shelf {
    /// Identifies an object.
    type Object: Copy;
    type Error;

    /// The object that has been in the queue longest.
    fn first(&mut self, queue: Queue) -> Answer<Option<Self::Object>, Self>;

    /// The one that follows in the same queue.
    fn after(&mut self, object: Self::Object) -> Answer<Option<Self::Object>, Self>;

    /// The largest object, and of several the oldest.
    fn largest(&mut self) -> Answer<Option<Self::Object>, Self>;

    fn bytes(&mut self, queue: Queue) -> Answer<u64, Self>;

    /// How often it was used, as far as the policy counts.
    fn marks(&mut self, object: Self::Object) -> Answer<u8, Self>;

    fn set_marks(&mut self, object: Self::Object, marks: u8) -> Answer<(), Self>;

    /// Makes it the newest of a queue, without marks.
    fn append(&mut self, object: Self::Object, queue: Queue) -> Answer<(), Self>;

    /// Where SIEVE goes on. When this object leaves the shelf, the hand moves on to the one after it.
    fn hand(&mut self) -> Answer<Option<Self::Object>, Self>;

    fn set_hand(&mut self, object: Self::Object) -> Answer<(), Self>;
}
