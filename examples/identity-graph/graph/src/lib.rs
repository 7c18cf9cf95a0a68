//! The vendor's way from edges to people. Which edges to trust is its capital: it is built with
//! `--hidden`.

use std::collections::BTreeMap;

use glovebox_guest::{Batch, Batches, Error, Result, columns, export};
use petgraph::unionfind::UnionFind;

export!(Graph, "loom:graph/people@1.0.0");

/// Most ids of a person. What would join more is a device that people share.
const LARGEST: usize = 6;

/// The library to notebooks.
struct Graph;

impl people::Guest for Graph {
    fn resolve(edges: Batches, threshold: f64) -> Result<Batch, Error> {
        let mut read = Vec::new();
        for batch in edges {
            let batch = batch?;
            let (left, right) = (batch.column("left_id")?, batch.column("right_id")?);
            let (left, right) = (left.utf8()?, right.utf8()?);
            let strength = batch.column("strength")?.float64()?;
            for ((left, right), strength) in left.iter().zip(right.iter()).zip(strength.iter()) {
                if let (Some(left), Some(right), Some(strength)) = (left, right, strength) {
                    read.push(Edge { left: left.into(), right: right.into(), strength });
                }
            }
        }
        let (ids, persons): (Vec<_>, Vec<_>) = join(read, threshold).into_iter().unzip();
        Batch::from_columns(columns! { "id" => ids, "person" => persons })
    }
}

struct Edge {
    left: String,
    right: String,
    strength: f64,
}

/// The person of every id, named after the person's first id.
fn join(mut edges: Vec<Edge>, threshold: f64) -> BTreeMap<String, String> {
    edges.sort_by(|one, other| {
        let by_strength = other.strength.total_cmp(&one.strength);
        by_strength.then_with(|| (&one.left, &one.right).cmp(&(&other.left, &other.right)))
    });
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for id in edges.iter().flat_map(|edge| [&edge.left, &edge.right]) {
        places.insert(id, 0);
    }
    // In order of the ids, so that the first of a person is the one with the least place.
    places.values_mut().enumerate().for_each(|(index, place)| *place = index);

    let mut sets = UnionFind::new(places.len());
    let mut sizes = vec![1; places.len()];
    for edge in edges.iter().filter(|edge| edge.strength >= threshold) {
        let one = sets.find_mut(places[edge.left.as_str()]);
        let other = sets.find_mut(places[edge.right.as_str()]);
        let size = sizes[one] + sizes[other];
        if one != other && size <= LARGEST {
            sets.union(one, other);
            sizes[sets.find_mut(one)] = size;
        }
    }
    let mut first: BTreeMap<usize, &str> = BTreeMap::new();
    let found = places.iter().map(|(id, place)| {
        let person = *first.entry(sets.find_mut(*place)).or_insert(id);
        ((*id).to_owned(), person.to_owned())
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn people(edges: &[(&str, &str, f64)]) -> Vec<(String, String)> {
        let edge = |(left, right, strength): &(&str, &str, f64)| Edge {
            left: (*left).into(),
            right: (*right).into(),
            strength: *strength,
        };
        join(edges.iter().map(edge).collect(), 0.6).into_iter().collect()
    }

    fn pairs(expect: &[(&str, &str)]) -> Vec<(String, String)> {
        expect.iter().map(|(id, person)| ((*id).into(), (*person).into())).collect()
    }

    #[test]
    fn strong_edges_join_and_weak_ones_do_not() {
        assert_eq!(
            people(&[("m1", "d2", 0.9), ("d2", "d1", 0.7), ("d1", "m2", 0.5)]),
            pairs(&[("d1", "d1"), ("d2", "d1"), ("m1", "d1"), ("m2", "m2")])
        );
    }

    #[test]
    fn a_shared_device_does_not_make_a_crowd_one_person() {
        let mails: Vec<_> = (0..20).map(|index| format!("m{index:02}")).collect();
        let edges: Vec<_> = mails.iter().map(|mail| ("hub", mail.as_str(), 0.8)).collect();
        let found = people(&edges);
        assert_eq!(found.iter().filter(|(_, person)| person == "hub").count(), LARGEST);
    }
}
