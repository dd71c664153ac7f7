//! What S3-FIFO remembers of objects that are gone.

use hashlink::LinkedHashMap;

/// The ids and sizes of the objects that left the trial last. If one of them is stored again, it was
/// used too seldom for the trial, but still often.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    objects: LinkedHashMap<u64, u64>,
    bytes: u64,
    most_bytes: u64,
}

impl Remembered {
    pub fn new(most_bytes: u64) -> Self {
        Self {
            most_bytes,
            ..Self::default()
        }
    }

    /// Adds an object, and forgets the oldest ones beyond the limit.
    pub fn add(&mut self, object: u64, size: u64) {
        if size > self.most_bytes {
            return;
        }
        while self.bytes > self.most_bytes - size
            && let Some((_, oldest)) = self.objects.pop_front()
        {
            self.bytes -= oldest;
        }
        self.bytes += size;
        self.objects.insert(object, size);
    }

    /// Forgets an object, and returns whether it was remembered.
    pub fn take(&mut self, object: u64) -> bool {
        let Some(size) = self.objects.remove(&object) else {
            return false;
        };
        self.bytes -= size;
        true
    }
}
