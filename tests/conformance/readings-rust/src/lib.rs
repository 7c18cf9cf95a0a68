//! Readings by site: the same as the other notebooks in this directory.

use std::collections::BTreeMap;

use glovebox_guest::{Batch, Column, DataType, Result, Room, Scalar, notebook};

const COLUMNS: [&str; 5] = ["site", "day", "value", "amount", "ok"];

const HIGH: &str = "SELECT site, count(*) AS n FROM lab.readings WHERE value >= $1 GROUP BY site";

#[derive(Default)]
struct Group {
    n: i64,
    days: Option<(i32, i32)>,
    values: i64,
    total: f64,
    largest: Option<i32>,
    good: i64,
    high: i64,
}

impl Group {
    fn total(&self) -> Option<f64> {
        (self.values > 0).then_some(self.total)
    }
}

/// Null sorts last.
type Groups = BTreeMap<(bool, String), Group>;

fn group<'a>(groups: &'a mut Groups, site: Option<&str>) -> &'a mut Group {
    groups.entry((site.is_none(), site.unwrap_or_default().to_owned())).or_default()
}

#[notebook]
fn run(room: &Room) -> Result<()> {
    let mut groups = Groups::new();
    for batch in room.table("lab.readings")?.scan().columns(COLUMNS).batches()? {
        add(&mut groups, &batch?)?;
    }
    let least: f64 = room.parameter("least")?;
    for batch in room.query(HIGH, &[Scalar::from(least)])? {
        let batch = batch?;
        let (sites, counts) = (batch.column("site")?, batch.column("n")?);
        for (site, n) in sites.utf8()?.iter().zip(counts.int64()?.values()) {
            group(&mut groups, site).high = *n;
        }
    }
    write(room, &groups)
}

fn add(groups: &mut Groups, batch: &Batch) -> Result<()> {
    let columns = batch.columns()?;
    let (sites, days, values) = (columns[0].utf8()?, columns[1].date32()?, columns[2].float64()?);
    let (amounts, oks) = (columns[3].int32()?, columns[4].boolean()?);
    for row in 0..batch.num_rows() {
        let group = group(groups, sites.get(row));
        group.n += 1;
        if let Some(day) = days.get(row) {
            let (first, last) = group.days.unwrap_or((day, day));
            group.days = Some((first.min(day), last.max(day)));
        }
        if let Some(value) = values.get(row) {
            group.values += 1;
            group.total += value;
        }
        group.largest = group.largest.max(amounts.get(row));
        group.good += i64::from(oks.get(row) == Some(true));
    }
    Ok(())
}

fn write(room: &Room, groups: &Groups) -> Result<()> {
    let groups: Vec<_> = groups.iter().collect();
    let sites = groups.iter().map(|((is_null, site), _)| (!is_null).then_some(site.as_str()));
    let all = || groups.iter().map(|(_, group)| *group);
    let days = |day: fn((i32, i32)) -> i32| {
        let days: Column = all().map(|group| group.days.map(day)).collect();
        days.with_type(DataType::Date32)
    };
    let mean = |group: &Group| group.total().map(|total| total / group.values as f64);
    let mut output = room.output("summary")?;
    output.write([
        ("site", sites.collect::<Column>()),
        ("n", all().map(|group| group.n).collect()),
        ("first_day", days(|(first, _)| first)?),
        ("last_day", days(|(_, last)| last)?),
        ("total", all().map(Group::total).collect()),
        ("mean", all().map(mean).collect()),
        ("largest", all().map(|group| group.largest).collect()),
        ("good", all().map(|group| group.good).collect()),
        ("high", all().map(|group| group.high).collect()),
    ])?;
    output.finish()?;
    Ok(())
}
