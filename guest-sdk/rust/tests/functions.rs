//! What `#[library]` makes of functions, called as a host calls it, with columns.

use glovebox_guest::functions::{Declared, Offers as _};
use glovebox_guest::{Column, library};

#[library]
mod functions {
    use glovebox_guest::{Date, Float64Column, Result, Row, State, Utf8Column, bail};

    /// Twice as much.
    ///
    /// This is not in the manifest.
    #[scalar_function]
    fn twice(n: i64) -> i64 {
        n * 2
    }

    #[scalar_function(name = "or_zero", stable)]
    fn or(n: Option<f64>) -> Result<f64> {
        Ok(n.unwrap_or_default())
    }

    #[scalar_function]
    fn initial(text: &str, day: Date) -> Option<String> {
        if day.0 > 0 { text.chars().next().map(String::from) } else { None }
    }

    #[scalar_function]
    fn lengths(texts: &Utf8Column, _more: &Float64Column) -> Vec<Option<u32>> {
        texts.iter().map(|text| text.map(|text| text.len() as u32)).collect()
    }

    #[scalar_function]
    fn short(texts: &Utf8Column) -> Vec<bool> {
        vec![true; texts.len() - 1]
    }

    #[derive(Default, State)]
    pub(crate) struct Spread {
        least: Option<i64>,
        most: Option<i64>,
        seen: Vec<i64>,
        words: String,
    }

    #[aggregate_function]
    impl Spread {
        fn update(&mut self, n: i64, word: Option<&str>) -> Result<()> {
            if n < 0 {
                bail!("a negative number");
            }
            self.least = Some(self.least.map_or(n, |least| least.min(n)));
            self.most = Some(self.most.map_or(n, |most| most.max(n)));
            self.seen.push(n);
            self.words.push_str(word.unwrap_or("-"));
            Ok(())
        }

        fn merge(&mut self, other: Self) {
            for n in [other.least, other.most].into_iter().flatten() {
                self.least = Some(self.least.map_or(n, |least| least.min(n)));
                self.most = Some(self.most.map_or(n, |most| most.max(n)));
            }
            self.seen.extend(other.seen);
            self.words.push_str(&other.words);
        }

        fn finish(&self) -> Option<String> {
            let (least, most) = (self.least?, self.most?);
            Some(format!("{least}..{most} {:?} {}", self.seen, self.words))
        }
    }

    #[derive(Row)]
    pub(crate) struct Line {
        number: i64,
        text: Option<String>,
    }

    #[table_function]
    fn lines(text: String, from: Option<i64>) -> Result<Vec<Line>> {
        let from = from.unwrap_or(1);
        let line = |(number, text): (i64, &str)| Line {
            number: from + number,
            text: (!text.is_empty()).then(|| text.to_owned()),
        };
        Ok((0..).zip(text.lines()).map(line).collect())
    }
}

use functions::Functions;

fn evaluate(name: &str, columns: &[Column], rows: usize) -> Result<Column, String> {
    let function = Functions::SCALARS.iter().find(|function| function.declaration.name == name);
    (function.expect(name).evaluate)(columns, rows).map_err(|error| error.to_string())
}

#[test]
fn rows_become_columns() {
    let twice = evaluate("twice", &[vec![1_i64, 2, 3].into()], 3).unwrap();
    assert_eq!(twice.int64().unwrap().values(), [2, 4, 6]);
    assert_eq!(twice.null_count(), 0);

    let or_zero = evaluate("or_zero", &[vec![Some(1.5), None].into()], 2).unwrap();
    assert_eq!(or_zero.float64().unwrap().values(), [1.5, 0.0]);

    let days: Column = vec![1_i32, 0, 2].into();
    let days = days.with_type("date32".parse().unwrap()).unwrap();
    let initial = evaluate("initial", &[vec!["äb", "c", ""].into(), days], 3).unwrap();
    let initial = initial.utf8().unwrap();
    assert_eq!(initial.iter().collect::<Vec<_>>(), [Some("ä"), None, None]);

    let texts: Column = vec![Some("ab"), None].into();
    let more: Column = vec![0.0, 0.0].into();
    let lengths = evaluate("lengths", &[texts.clone(), more], 2).unwrap();
    assert_eq!(lengths.uint32().unwrap().iter().collect::<Vec<_>>(), [Some(2), None]);

    assert_eq!(evaluate("short", &[texts], 2).unwrap_err(), "1 values for 2 rows");
    assert!(evaluate("twice", &[], 2).unwrap_err().contains("an argument is missing"));
    let wrong = evaluate("twice", &[vec![1.5].into()], 1).unwrap_err();
    assert!(wrong.contains("float64 is not int64"), "{wrong}");
}

#[test]
fn a_function_is_declared_as_it_is_written() {
    let declared = |name: &str| {
        let all = Functions::SCALARS.iter().map(|function| function.declaration);
        let all = all.chain(Functions::AGGREGATES.iter().map(|function| function.declaration));
        let mut all = all.chain(Functions::TABLES.iter().map(|function| function.declaration));
        all.find(|declaration| declaration.name == name).expect("a declaration")
    };
    let column = |name, data_type, nullable| Declared { name, data_type, nullable };

    let twice = declared("twice");
    assert_eq!((twice.kind, twice.description, twice.stable), ("scalar", "Twice as much.", false));
    assert_eq!(twice.arguments, [column("n", "int64", false)]);
    assert_eq!(twice.returns, [column("twice", "int64", false)]);
    assert!(declared("or_zero").stable);
    assert_eq!(declared("or_zero").arguments, [column("n", "float64", true)]);
    assert_eq!(declared("initial").returns, [column("initial", "utf8", true)]);
    assert_eq!(
        declared("lengths").arguments,
        [column("texts", "utf8", true), column("more", "float64", true)]
    );
    assert_eq!(declared("lengths").returns, [column("lengths", "uint32", true)]);

    let spread = declared("spread");
    assert_eq!(
        spread.state,
        [
            column("least", "int64", true),
            column("most", "int64", true),
            column("seen", "binary", false),
            column("words", "utf8", false),
        ]
    );
    let lines = declared("lines");
    assert_eq!(lines.arguments, [column("text", "utf8", false), column("from", "int64", true)]);
    assert_eq!(lines.returns, [column("number", "int64", false), column("text", "utf8", true)]);
    assert_eq!(lines.input, None);
}

#[test]
fn states_survive_the_way_through_columns() {
    let create = Functions::AGGREGATES[0].create;
    let (mut one, mut two) = (create(), create());
    let columns = |numbers: Vec<i64>| -> [Column; 2] {
        let words: Vec<Option<&str>> =
            numbers.iter().map(|n| (n % 2 == 0).then_some("w")).collect();
        [numbers.into(), words.into()]
    };
    one.update(&columns(vec![5, 1, 7]), &[0, 1, 0], 2).unwrap();
    two.update(&columns(vec![2, 9]), &[2, 0], 3).unwrap();
    one.merge(&two.state(), &[0, 1, 2], 3).unwrap();
    let values = one.evaluate().unwrap();
    let values: Vec<_> = values.utf8().unwrap().iter().map(|v| v.map(str::to_owned)).collect();
    assert_eq!(
        values,
        [
            Some("5..9 [5, 7, 9] ---".to_owned()),
            Some("1..1 [1] -".to_owned()),
            Some("2..2 [2] w".to_owned()),
        ]
    );
    assert!(one.update(&columns(vec![-1]), &[0], 3).is_err());
    // A host that lies about groups gets an error, not a panic.
    assert!(one.update(&columns(vec![1]), &[9], 3).is_err());
    assert!(one.update(&columns(vec![1]), &[], 3).is_err());
}

#[test]
fn a_table_is_made_batch_by_batch() {
    let text = "a\n\nb\n".repeat(5_000);
    let parameters = vec![text.as_str().into(), None::<i64>.into()];
    let mut rows = (Functions::TABLES[0].invoke)(parameters, None).unwrap();
    let first = rows.next().unwrap().unwrap();
    assert_eq!(first[0].len(), 8_192);
    assert_eq!(first[1].utf8().unwrap().get(1), None);
    let second = rows.next().unwrap().unwrap();
    assert_eq!(second[0].int64().unwrap().get(6_807), Some(15_000));
    assert!(rows.next().unwrap().is_none());
    assert!((Functions::TABLES[0].invoke)(Vec::new(), None).is_err());
}
