//! Counts people who are a shop's customers and a publisher's visitors, by what each knows of them.
//!
//! Edges go to the vendor's library without being looked at; people come back.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_guest::{Batch, Result, Room, Row, import, notebook};

import!("loom:graph/people@1.0.0", path = "../graph/wit");

#[derive(Row)]
struct Reach {
    customers: i64,
    matched_directly: i64,
    matched_by_graph: i64,
}

#[derive(Row)]
struct Segment {
    segment: String,
    interest: String,
    people: i64,
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let edges = room.table("loom.edges")?.scan().batches()?;
    let people = People::new(&people::resolve(edges, room.parameter("threshold")?)?)?;
    let customers = pairs(room, "shop.customers", ["mail_id", "segment"])?;
    let visitors = pairs(room, "press.visitors", ["visitor_id", "interest"])?;
    let (reach, segments) = count(&people, &customers, &visitors);

    let least: i64 = room.parameter("k")?;
    let segments: Vec<_> = segments.into_iter().filter(|segment| segment.people >= least).collect();
    // The whole is a group as well.
    let reach = if reach.matched_by_graph >= least { vec![reach] } else { Vec::new() };
    let mut output = room.output("reach")?;
    output.write_rows(&reach)?;
    output.finish()?;
    let mut output = room.output("segments")?;
    output.write_rows(&segments)?;
    output.finish()?;
    Ok(())
}

/// Two text columns of a table; rows with a null say nothing and are left out.
fn pairs(room: &Room, table: &str, columns: [&str; 2]) -> Result<Vec<(String, String)>> {
    let mut read = Vec::new();
    for batch in room.table(table)?.scan().columns(columns).batches()? {
        read.extend(pairs_of(&batch?, columns)?);
    }
    Ok(read)
}

fn pairs_of(batch: &Batch, columns: [&str; 2]) -> Result<Vec<(String, String)>> {
    let (left, right) = (batch.column(columns[0])?, batch.column(columns[1])?);
    let (left, right) = (left.utf8()?, right.utf8()?);
    let rows = left.iter().zip(right.iter());
    Ok(rows.filter_map(|(left, right)| Some((left?.to_owned(), right?.to_owned()))).collect())
}

/// The person of each id that the graph knows.
#[derive(Default)]
struct People(BTreeMap<String, String>);

impl People {
    fn new(resolved: &Batch) -> Result<Self> {
        Ok(Self(pairs_of(resolved, ["id", "person"])?.into_iter().collect()))
    }

    /// An id that the graph does not know is a person of its own.
    fn of<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.get(id).map_or(id, String::as_str)
    }
}

fn count(
    people: &People,
    customers: &[(String, String)],
    visitors: &[(String, String)],
) -> (Reach, Vec<Segment>) {
    let mut interests: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (visitor, interest) in visitors {
        interests.entry(people.of(visitor)).or_default().insert(interest);
    }
    let mails: BTreeSet<&str> = customers.iter().map(|(mail, _)| mail.as_str()).collect();
    let visits: BTreeSet<&str> = visitors.iter().map(|(visitor, _)| visitor.as_str()).collect();
    let persons: BTreeSet<&str> = mails.iter().map(|mail| people.of(mail)).collect();
    let matched = persons.iter().filter(|person| interests.contains_key(*person)).count();
    let reach = Reach {
        customers: mails.len() as i64,
        matched_directly: mails.intersection(&visits).count() as i64,
        matched_by_graph: matched as i64,
    };

    let mut segments: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (mail, segment) in customers {
        let person = people.of(mail);
        for interest in interests.get(person).into_iter().flatten() {
            segments.entry((segment, interest)).or_default().insert(person);
        }
    }
    let segments = segments.into_iter().map(|((segment, interest), people)| Segment {
        segment: segment.into(),
        interest: interest.into(),
        people: people.len() as i64,
    });
    (reach, segments.collect())
}

#[cfg(test)]
mod tests {
    use super::{People, count};

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(left, right)| ((*left).into(), (*right).into())).collect()
    }

    #[test]
    fn people_are_counted_once() {
        let people = People(pairs(&[("m1", "p"), ("d1", "p"), ("d2", "p")]).into_iter().collect());
        let customers = pairs(&[("m1", "new"), ("m2", "new"), ("m3", "new")]);
        let visitors =
            pairs(&[("d1", "sport"), ("d2", "sport"), ("m2", "sport"), ("d9", "travel")]);
        let (reach, segments) = count(&people, &customers, &visitors);
        assert_eq!((reach.customers, reach.matched_directly, reach.matched_by_graph), (3, 1, 2));
        let segments: Vec<_> =
            segments.iter().map(|s| (s.segment.as_str(), s.interest.as_str(), s.people)).collect();
        assert_eq!(segments, [("new", "sport", 2)]);
    }
}
