//! Makes one row in lower case of an address that is written in mixed case, or several times. What counts stays as it is:
//! role, end, note, and the account that the address is bound to.

use super::change::Change;
use super::{Holding, RoleRow};
use crate::auth::entra::is_plain_address;

/// Why there is nothing to tidy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Untidy {
    /// The row that there is, is tidy.
    #[error("There is one row for this address, in lower case, so there is nothing to tidy.")]
    Nothing,
    /// Nobody comes in under it.
    #[error(
        "Nobody can sign in under this address as it is written, so no row of it could count. Take its role away, and give it \
         to the address that Microsoft tells."
    )]
    NoAddress,
    /// It is for an admin to say which role is meant.
    #[error(
        "The rows give different roles. Change the role first; it is written to all of them. Then tidy them."
    )]
    Disagree,
}

impl Change {
    /// One row in lower case for `email`, with the role that counts already.
    ///
    /// # Errors
    /// [`Untidy`].
    pub fn tidy(email: &str, before: Holding) -> Result<Self, Untidy> {
        if !is_plain_address(email) && !before.rows.is_empty() {
            return Err(Untidy::NoAddress);
        }
        let is_exact = |row: &&RoleRow| row.email == email;
        let counts = before.rows.iter().find(is_exact).or(before.rows.first());
        let Some(counts) = counts else {
            return Err(Untidy::Nothing);
        };
        if before.rows.len() == 1 && counts.email == email {
            return Err(Untidy::Nothing);
        }
        let has_exact = counts.email == email;
        let mut weighing = before.rows.iter().filter(|row| !has_exact || is_exact(row));
        if weighing.any(|row| row.role != counts.role) {
            return Err(Untidy::Disagree);
        }
        let row = RoleRow {
            email: email.to_owned(),
            role: counts.role.clone(),
        };
        let after = Holding {
            rows: vec![row],
            grant: before.grant.clone(),
        };
        Ok(Self {
            email: email.to_owned(),
            before,
            after,
            owner: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tidied(email: &str, rows: &[(&str, &str)]) -> Result<(String, String), Untidy> {
        let row = |(email, role): &(&str, &str)| RoleRow {
            email: (*email).to_owned(),
            role: (*role).to_owned(),
        };
        let before = Holding {
            rows: rows.iter().map(row).collect(),
            grant: None,
        };
        let after = Change::tidy(email, before)?.after.rows;
        assert_eq!(after.len(), 1);
        Ok((after[0].email.clone(), after[0].role.clone()))
    }

    #[test]
    fn what_counts_becomes_the_only_row() {
        const ADA: &str = "ada@x.example";
        let one = |role: &str| Ok((ADA.to_owned(), role.to_owned()));
        assert_eq!(tidied(ADA, &[("Ada@x.example", "reader")]), one("reader"));
        let shadow = [("ADA@x.example", "admin"), (ADA, "reader")];
        assert_eq!(tidied(ADA, &shadow), one("reader"));
        assert_eq!(tidied(ADA, &[(ADA, "owner"), (ADA, "owner")]), one("owner"));
        for rows in [&[][..], &[(ADA, "reader")]] {
            assert_eq!(tidied(ADA, rows), Err(Untidy::Nothing));
        }
        let mixed = [("ADA@x.example", "admin"), ("Ada@x.example", "reader")];
        assert_eq!(tidied(ADA, &mixed), Err(Untidy::Disagree));
        assert_eq!(
            tidied(ADA, &[(ADA, "admin"), (ADA, "reader")]),
            Err(Untidy::Disagree)
        );
        for odd in [" ada@x.example", "ada@x.example\n", "Üml@x.example"] {
            assert_eq!(tidied(odd, &[(odd, "reader")]), Err(Untidy::NoAddress));
        }
    }
}
