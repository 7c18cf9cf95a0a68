//! What an author sees after each mistake in a SQL notebook: where it is, and what to do.

use glovebox_build::build_sql;

const NOTEBOOK: &str = r#"/* glovebox notebook
name = "n"
version = "1.0.0"

[inputs."a.t"]
columns = { k = "utf8", v = "int64" }

[parameters.least]
type = "int64"
default = 50
minimum = 20

[outputs.out]
columns = ["k utf8 not null", "total int64"]
*/
CREATE TEMP VIEW totals AS SELECT k, sum(v) AS total FROM a.t GROUP BY k;
CREATE TABLE output.out AS SELECT k, total FROM totals WHERE total >= :least;
"#;

/// The notebook with one change, and what the build says of it.
fn check(what: &str, text: &str, change: &str) -> String {
    assert!(NOTEBOOK.contains(text), "{text}");
    match build_sql(&NOTEBOOK.replacen(text, change, 1)) {
        Ok(_) => panic!("{what} is accepted"),
        Err(error) => format!("# {what}\n{error}\n\n"),
    }
}

#[test]
fn the_notebook_without_a_mistake_is_built() {
    build_sql(NOTEBOOK).unwrap();
}

#[test]
fn mistakes_in_the_header() {
    let cases = [
        ("no header", "/* glovebox notebook", "/* notebook"),
        ("a statement before the header", "/* glovebox", "SELECT 1; /* glovebox"),
        ("a comment that does not end", "*/", ""),
        ("a comment in the comment", "name = \"n\"", "name = \"n\" # /* no */"),
        ("no TOML", "name = \"n\"", "name: n"),
        ("no name", "name = \"n\"\n", ""),
        ("a bad name", "\"n\"", "\"My Notebook\""),
        ("no version", "version = \"1.0.0\"\n", ""),
        ("a bad version", "\"1.0.0\"", "\"1.0\""),
        ("an unknown key", "version =", "author = \"me\"\nversion ="),
        ("a table without its owner", "\"a.t\"", "\"t\""),
        ("an unknown type", "v = \"int64\"", "v = \"bigint\""),
        ("an input without columns", "{ k = \"utf8\", v = \"int64\" }", "{}"),
        ("a parameter of an unknown type", "type = \"int64\"", "type = \"integer\""),
        ("a default of another type", "default = 50", "default = \"many\""),
        ("a default below the minimum", "default = 50", "default = 5"),
        ("a minimum that is a list", "minimum = 20", "minimum = [20]"),
        ("an output column without a type", "\"total int64\"", "\"total\""),
        ("an output column of an unknown type", "\"total int64\"", "\"total bigint\""),
        ("an output column twice", "\"total int64\"", "\"k int64\""),
        ("a bad output name", "[outputs.out]", "[outputs.Out]"),
        ("an unknown key of an output", "[outputs.out]", "[outputs.out]\nmax_row = 5"),
        ("an unknown mode of an output", "[outputs.out]", "[outputs.out]\nmode = \"overwrite\""),
        ("no output", "[outputs.out]\ncolumns = [\"k utf8 not null\", \"total int64\"]", ""),
    ];
    insta::assert_snapshot!(cases.map(|(what, text, change)| check(what, text, change)).concat());
}

#[test]
fn mistakes_in_the_statements() {
    let cases = [
        ("a syntax error", "SELECT k, sum(v)", "SELECT k sum(v)"),
        ("a text that does not end", ">= :least", ">= 'x"),
        ("a bare SELECT", "CREATE TEMP VIEW totals AS ", ""),
        ("another statement", "CREATE TEMP VIEW", "DROP TABLE a.t;\nCREATE TEMP VIEW"),
        ("a lasting view", "CREATE TEMP VIEW", "CREATE VIEW"),
        ("a view with two parts", "VIEW totals", "VIEW output.totals"),
        ("a view twice", "CREATE TABLE", "CREATE TEMP VIEW totals AS SELECT 1;\nCREATE TABLE"),
        ("a table that is no output", "TABLE output.out", "TABLE out"),
        ("an output with a clause", "TABLE output.out", "TABLE IF NOT EXISTS output.out"),
        (
            "an output without a query",
            "output.out AS SELECT k, total FROM totals WHERE total >= :least",
            "output.out (k TEXT)",
        ),
        ("an output that is not declared", "output.out", "output.other"),
        (
            "an output twice",
            "CREATE TABLE",
            "CREATE TABLE output.out AS SELECT 'a' AS k, 1 AS total;\nCREATE TABLE",
        ),
        (
            "no output at all",
            "CREATE TABLE output.out AS SELECT k, total FROM totals WHERE total >= :least;",
            "",
        ),
        ("an input that is not declared", "FROM a.t", "FROM a.u"),
        ("an input that is not read", "FROM a.t", "FROM (SELECT 'a' AS k, 1 AS v)"),
        ("a name that is nothing", "FROM totals", "FROM total"),
        ("a file", "FROM totals", "FROM '/etc/passwd'"),
        ("an output that is read", "FROM totals", "FROM output.out"),
        ("a parameter that is not declared", ":least", ":lest"),
        ("a parameter that is not used", ":least", "50"),
        ("a parameter without a name", ":least", "$1"),
    ];
    insta::assert_snapshot!(cases.map(|(what, text, change)| check(what, text, change)).concat());
}

#[test]
fn what_people_write_is_understood() {
    let accept = |text: &str, change: &str| {
        assert!(NOTEBOOK.contains(text), "{text}");
        if let Err(error) = build_sql(&NOTEBOOK.replacen(text, change, 1)) {
            panic!("{change}: {error}");
        }
    };
    accept("/* glovebox", "-- Licence\n/* Copyright */\n\n/* glovebox");
    accept("\n", "\r\n");
    accept("CREATE TEMP VIEW", "create or replace temporary view");
    accept("FROM totals", "FROM TOTALS");
    accept("FROM a.t", "FROM A.T AS x");
    accept(
        "SELECT k, total FROM totals",
        "WITH c AS (SELECT * FROM totals) SELECT k, total FROM c",
    );
    accept("\"total int64\"", "{ name = \"total\", type = \"decimal(38, 10)\", nullable = false }");
    accept("\"total int64\"", "\"total decimal(38, 10) NOT NULL\"");
    accept("default = 50", "default = \"50\"");
    accept(">= :least", ">= :least AND k <> ':nobody' -- :nothing");
    accept("SELECT k, total", &format!("SELECT k, {} AS total", vec!["total"; 5_001].join(" + ")));
}

#[test]
fn values_of_parameters_have_one_text() {
    let check = |parameter: &str, expect: &str| {
        let text = NOTEBOOK.replace("type = \"int64\"\ndefault = 50\nminimum = 20", parameter);
        let component = build_sql(&text).unwrap();
        let declared = component.manifest().parameters.values().next().unwrap();
        assert_eq!(declared.default.as_deref(), Some(expect), "{parameter}");
    };
    check("type = \"int64\"\ndefault = 50", "50");
    check("type = \"int64\"\ndefault = \"+050\"", "50");
    check("type = \"float64\"\ndefault = 1e3", "1000");
    check("type = \"float64\"\ndefault = 2", "2");
    check("type = \"boolean\"\ndefault = true", "true");
    check("type = \"date\"\ndefault = 2013-01-31", "2013-01-31");
    check("type = \"utf8\"\ndefault = \"JFK\"", "JFK");
}
