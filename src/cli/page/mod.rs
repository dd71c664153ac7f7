//! The page of a report: one file that loads nothing.

mod chart;
mod data;
mod history;
mod html;
mod objects;
mod sections;
mod whole;

pub use whole::Page;
