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
