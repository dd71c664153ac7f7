//! Chooses which columns of a table fit a terminal, and their widths.

/// The needs of a column.
#[derive(Debug, Clone, Copy)]
pub struct Need {
    /// The width of its widest cell; 0 for a column that is not shown.
    pub natural: usize,
    /// The width that its cells may be truncated to.
    pub least: usize,
    /// Columns of the lowest worth are left out first; those with `None` never are.
    pub worth: Option<u8>,
}

/// Spaces between two columns.
pub const GAP: usize = 2;
/// No column is truncated to less, even on a very narrow terminal.
const NARROWEST: usize = 4;

/// The width of each column in a line of `columns`; 0 for columns that are left out.
///
/// Room that remains goes to the other columns, those of the highest worth first.
pub fn fit(needs: &[Need], columns: usize) -> Vec<usize> {
    let mut widths: Vec<_> = needs.iter().map(|need| need.least.min(need.natural)).collect();
    while total(&widths) > columns {
        let shown = widths.iter_mut().zip(needs).filter(|(width, _)| **width > 0);
        let least_worth = shown
            .filter_map(|(width, need)| Some((need.worth?, width)))
            .min_by_key(|(worth, _)| *worth);
        let Some((_, width)) = least_worth else { break };
        *width = 0;
    }
    while total(&widths) > columns {
        let widest = widths.iter_mut().max();
        let Some(width) = widest.filter(|width| **width > NARROWEST) else {
            break;
        };
        *width -= 1;
    }
    let mut rest = columns.saturating_sub(total(&widths));
    let mut by_worth: Vec<_> = widths.iter_mut().zip(needs).filter(|(width, _)| **width > 0).collect();
    by_worth.sort_by_key(|(_, need)| std::cmp::Reverse(need.worth.unwrap_or(u8::MAX)));
    for (width, need) in by_worth {
        let more = need.natural.saturating_sub(*width).min(rest);
        *width += more;
        rest -= more;
    }
    widths
}

/// The width of a line with columns of these widths.
fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|&&width| width > 0);
    let gaps = GAP * shown.clone().count().saturating_sub(1);
    shown.sum::<usize>() + gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Need = Need {
        natural: 12,
        least: 12,
        worth: None,
    };
    const NAME: Need = Need {
        natural: 30,
        least: 10,
        worth: Some(9),
    };
    const PIECES: Need = Need {
        natural: 6,
        least: 6,
        worth: Some(1),
    };

    #[test]
    fn columns_that_fit_have_their_natural_width() {
        assert_eq!(fit(&[ID, NAME, PIECES], 52), [12, 30, 6]);
        assert_eq!(fit(&[ID, NAME, PIECES], usize::MAX), [12, 30, 6]);
    }

    #[test]
    fn cells_are_truncated_before_columns_are_dropped_by_worth() {
        assert_eq!(fit(&[ID, NAME, PIECES], 51), [12, 29, 6]);
        assert_eq!(fit(&[ID, NAME, PIECES], 32), [12, 10, 6]);
        assert_eq!(fit(&[ID, NAME, PIECES], 31), [12, 17, 0]);
        assert_eq!(fit(&[ID, NAME, PIECES], 23), [12, 0, 0]);
        assert_eq!(fit(&[ID, NAME, PIECES], 8), [8, 0, 0]);
        assert_eq!(fit(&[ID, NAME, PIECES], 0), [4, 0, 0]);
    }

    #[test]
    fn hidden_columns_take_no_room() {
        let hidden = Need { natural: 0, ..NAME };
        assert_eq!(fit(&[ID, hidden, PIECES], 20), [12, 0, 6]);
        assert_eq!(fit(&[], 20), [0; 0]);
    }
}
