use super::*;

#[test]
fn a_notebook_has_one_shape() {
    let check = |arguments: &str, function: &str, expect: &str| {
        let arguments: Tokens = arguments.parse().unwrap();
        let function: ItemFn = syn::parse_str(function).unwrap();
        let error = check_notebook(&arguments, &function).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), (!expect.is_empty()).then_some(expect));
    };
    const SHAPE: &str = "write `fn run(room: &Room) -> Result<()>`";
    check("", "fn run(room: &Room) -> Result<()> { Ok(()) }", "");
    check("", "pub fn any(_: &glovebox_guest::Room) -> glovebox_guest::Result<()> { f() }", "");
    check(
        "name = \"n\"",
        "fn run(room: &Room) -> Result<()> {}",
        "`#[notebook]` takes no arguments: the manifest stands in Cargo.toml under \
         [package.metadata.glovebox]",
    );
    let wrong = |function: &str, why: &str| check("", function, &format!("{why}: {SHAPE}"));
    wrong("async fn run(room: &Room) -> Result<()> {}", "a notebook is not async");
    wrong("fn run<T>(room: &Room) -> Result<()> {}", "a notebook is not generic");
    wrong("fn run() -> Result<()> {}", "a notebook takes a reference to its room");
    wrong("fn run(room: Room) -> Result<()> {}", "a notebook takes a reference to its room");
    wrong("fn run(a: &Room, b: u8) -> Result<()> {}", "a notebook takes its room and nothing else");
    wrong("fn run(room: &Room) {}", "a notebook returns a result");
}

#[test]
fn a_row_is_a_struct_with_named_fields() {
    let check = |item: &str, expect: &str| {
        let item: DeriveInput = syn::parse_str(item).unwrap();
        match row(&item) {
            Ok(tokens) => assert!(tokens.to_string().contains(expect), "{tokens}"),
            Err(error) => assert_eq!(error.to_string(), expect),
        }
    };
    check("struct R { #[row(name = \"class\")] kind: u8 }", "(\"class\" , < u8 as");
    check("struct R { r#type: String }", "(\"type\" , < String as");
    check("struct R<'a> { name: &'a str }", "impl < 'a > :: glovebox_guest :: Row for R < 'a >");
    check("struct R;", "a row has named fields");
    check("struct R(u8);", "a row has named fields");
    check("enum R { A }", "a row is a struct");
    check("struct R { #[row(title = \"x\")] a: u8 }", "expected `name = \"…\"`");
}

#[test]
fn a_library_is_a_module_with_functions() {
    let check = |module: &str, expect: &str| {
        let module: syn::ItemMod = syn::parse_str(module).unwrap();
        let error = library::expand(&Tokens::new(), module).expect_err("an error").to_string();
        assert!(error.starts_with(expect), "{error}");
    };
    check("mod m;", "write `#[library] mod functions { … }`");
    check("mod m { fn f() {} }", "a library offers functions: mark them");
    check("mod m { #[scalar_function] fn f(n: i64) {} }", "a function returns something");
    check(
        "mod m { #[scalar_function] async fn f(n: i64) -> i64 { n } }",
        "a function is neither async nor generic",
    );
    check(
        "mod m { #[scalar_function] fn f<T>(n: T) -> i64 { 1 } }",
        "a function is neither async nor generic",
    );
    check(
        "mod m { #[scalar_function] fn f((a, b): (i64, i64)) -> i64 { a } }",
        "an argument has a plain name",
    );
    check(
        "mod m { #[scalar_function] fn f(a: &Int64Column, b: i64) -> Vec<i64> { a } }",
        "either all arguments are columns or none is",
    );
    check("mod m { #[scalar_function(fast)] fn f(a: i64) -> i64 { a } }", "expected `name = ");
    check(
        "mod m { #[aggregate_function] impl S {} }",
        "an aggregate has `fn update(&mut self, …)`",
    );
    check(
        "mod m { #[aggregate_function] impl S { fn update(&mut self) {} fn merge(&mut self, o: Self) {}
         fn finish(&self) -> i64 { 1 } } }",
        "an aggregate takes at least one argument",
    );
    check(
        "mod m { #[table_function] fn f(rows: Batches) -> Vec<R> { r } }",
        "a table function that takes `Batches` declares their columns",
    );
    check(
        "mod m { #[table_function(input(\"n\"))] fn f(rows: Batches) -> Vec<R> { r } }",
        "write \"name type\"",
    );
}
