//! The admin portal: who may do what, who did what, and why.

mod changes;
