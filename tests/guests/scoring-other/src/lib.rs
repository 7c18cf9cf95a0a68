//! What `scoring` is, with another type in one function.

use glovebox_guest::{Batch, Error, export};

export!(Scoring, "acme:scoring/score@1.0.0");

struct Scoring;

impl score::Guest for Scoring {
    fn score(_: &Batch) -> Result<Batch, Error> {
        Err(Error::new("nobody calls this"))
    }

    fn count(customers: &Batch) -> u32 {
        customers.num_rows() as u32
    }

    fn pass(customers: Batch) -> Batch {
        customers
    }
}
