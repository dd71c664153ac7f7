//! Ids contain the space of their row, so that the spaces of a heap can number their rows in
//! parallel.

use super::MemRamId;

/// The low bits of an id, which number the rows of a space. The bits above identify the space.
const BITS: u32 = 40;

/// The ids of one space: `(memram_id - 1) << 40 | n`, with `n` from 1. The first space has
/// plain numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stripe {
    before: i64,
}

impl Stripe {
    /// The highest `n`, the number of ids that a space has for each table.
    pub const MOST: i64 = (1 << BITS) - 1;
    /// The number of spaces that there are ids for.
    pub const SPACES: i64 = 1 << (i64::BITS - 1 - BITS);

    /// The ids of a space. An impossible key from a damaged file is treated as the nearest possible
    /// one.
    pub fn of(space: MemRamId) -> Self {
        let before = (space.0.clamp(1, Self::SPACES) - 1) << BITS;
        Self { before }
    }

    /// The number before the first id, which no row has.
    pub fn before(self) -> i64 {
        self.before
    }

    /// The last id.
    pub fn last(self) -> i64 {
        self.before | Self::MOST
    }

    /// Converts a number to an id: the id with that `n`, or the number itself if it already is an id.
    pub fn id(self, number: i64) -> i64 {
        if (0..=Self::MOST).contains(&number) {
            self.before | number
        } else {
            number
        }
    }

    /// The space of an id.
    pub fn space(id: i64) -> MemRamId {
        MemRamId((id >> BITS) + 1)
    }

    /// The number of an id in its space.
    pub fn n(id: i64) -> i64 {
        id & Self::MOST
    }
}

/// A newtype over the key of a table that each space numbers separately.
macro_rules! striped_id {
    ($(#[$doc:meta])* $name:ident) => {
        $crate::models::id! {
            $(#[$doc])*
            ///
            /// It is `(memram_id - 1) << 40 | n`, with `n` from 1 to 1,099,511,627,775: the first
            /// space has plain numbers.
            $name
        }

        impl $name {
            /// The row that `number` refers to in a space: the one with that `n`, or with that id if it
            /// is larger than any `n`.
            pub fn within(space: $crate::models::MemRamId, number: i64) -> Self {
                Self($crate::models::stripe::Stripe::of(space).id(number))
            }

            /// The space of the id.
            pub fn space(self) -> $crate::models::MemRamId {
                $crate::models::stripe::Stripe::space(self.0)
            }

            /// The number within that space.
            pub fn n(self) -> i64 {
                $crate::models::stripe::Stripe::n(self.0)
            }
        }
    };
}
pub(crate) use striped_id;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::BlockId;

    #[test]
    fn the_first_space_has_plain_numbers() {
        let id = BlockId::within(MemRamId(1), 7);
        assert_eq!((id.0, id.space(), id.n()), (7, MemRamId(1), 7));
    }

    #[test]
    fn an_id_contains_its_space_and_its_number() {
        for space in [1, 2, 3, 1000, Stripe::SPACES] {
            for n in [1, 2, 1 << 39, Stripe::MOST] {
                let id = BlockId::within(MemRamId(space), n);
                assert_eq!((id.space(), id.n()), (MemRamId(space), n));
                assert_eq!(id.0, (space - 1) << 40 | n);
                // A whole id is used as it is, in any space.
                if space > 1 {
                    assert_eq!(BlockId::within(MemRamId(5), id.0), id);
                }
                let stripe = Stripe::of(MemRamId(space));
                assert!(stripe.before() < id.0 && id.0 <= stripe.last());
            }
        }
    }

    #[test]
    fn no_two_spaces_share_an_id_and_a_damaged_key_overflows_nothing() {
        for space in 1..100 {
            let [one, next] = [space, space + 1].map(|space| Stripe::of(MemRamId(space)));
            assert_eq!(one.last() + 1, next.before());
        }
        for space in [i64::MIN, -1, 0, Stripe::SPACES + 1, i64::MAX] {
            let stripe = Stripe::of(MemRamId(space));
            assert!(stripe.before() < stripe.last());
        }
        assert_eq!(Stripe::of(MemRamId(i64::MAX)).last(), i64::MAX);
        // As in the messages.
        assert_eq!((Stripe::MOST, Stripe::SPACES), (1_099_511_627_775, 8_388_608));
    }
}
