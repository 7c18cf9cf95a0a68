//! Checks the statements of a SQL notebook, so that mistakes show at build and not in a run.
//!
//! This is a courtesy to the author. What a run may do is decided by the query engine alone.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use glovebox_contract::manifest::Manifest;
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, Ident, ObjectName, ObjectNamePart, Query, Spanned as _,
    Statement, TableFactor, Value, ValueWithSpan, Visit, Visitor,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Span, Token, Tokenizer};

use crate::error::{BuildError, Position};

/// Most words in one statement. The query engine allows far fewer operators; this only keeps the
/// depth of a syntax tree, which code visits recursively, within [`STACK_BYTES`].
const MAX_STATEMENT_TOKENS: usize = 100_000;

/// Stack of the thread that checks. Pages that are not used cost nothing.
const STACK_BYTES: usize = 256 << 20;

/// Schema of the declared outputs in SQL.
const OUTPUT_SCHEMA: &str = "output";

const ALLOWED: &str = "a notebook consists of `CREATE TEMP VIEW name AS SELECT …` and \
                       `CREATE TABLE output.name AS SELECT …`";

/// Checks all statements of `source` against what `manifest` declares.
pub(crate) fn check(source: &str, manifest: &Manifest) -> Result<(), BuildError> {
    std::thread::scope(|scope| {
        std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || check_all(source, manifest))
            .map_err(|error| BuildError::new(format!("cannot start a thread: {error}")))?
            .join()
            .unwrap_or_else(|_| Err(BuildError::new("the check of the statements broke down")))
    })
}

fn check_all(source: &str, manifest: &Manifest) -> Result<(), BuildError> {
    let mut script = Script {
        manifest,
        views: BTreeSet::new(),
        written: BTreeSet::new(),
        read: BTreeSet::new(),
        called: BTreeSet::new(),
        parameters: BTreeSet::new(),
    };
    for (statement, start) in parse(source)? {
        // Not every part of a syntax tree knows its place; the statement's is better than none.
        script.statement(&statement).map_err(|error| match error.position() {
            Some(_) => error,
            None => error.at(position(start)),
        })?;
    }
    script.finish()
}

/// All statements, each with the place where it starts.
fn parse(source: &str) -> Result<Vec<(Statement, Location)>, BuildError> {
    let tokens = Tokenizer::new(&GenericDialect {}, source)
        .tokenize_with_location()
        .map_err(|error| at(error.location, format!("SQL syntax: {}", error.message)))?;
    let mut starts = Vec::new();
    for statement in tokens.split(|token| token.token == Token::SemiColon) {
        let mut words =
            statement.iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
        let Some(first) = words.next() else { continue };
        if words.count() >= MAX_STATEMENT_TOKENS {
            let message = format!("the statement has more than {MAX_STATEMENT_TOKENS} words");
            return Err(at(first.span.start, message));
        }
        starts.push(first.span.start);
    }
    let statements = Parser::new(&GenericDialect {})
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| syntax_error(&error))?;
    let starts = starts.into_iter().chain(std::iter::repeat(Location::new(1, 1)));
    Ok(statements.into_iter().zip(starts).collect())
}

fn position(location: Location) -> Position {
    Position { line: location.line, column: location.column }
}

fn at(location: Location, message: impl Into<String>) -> BuildError {
    let error = BuildError::new(message);
    if location.line == 0 {
        return error;
    }
    error.at(position(location))
}

/// The parser writes the place at the end of its message: move it to the front.
fn syntax_error(error: &ParserError) -> BuildError {
    let (ParserError::ParserError(text) | ParserError::TokenizerError(text)) = error else {
        return BuildError::new("SQL syntax: expressions or queries are nested too deeply");
    };
    let place = text.rsplit_once(" at Line: ").and_then(|(message, place)| {
        let (line, column) = place.split_once(", Column: ")?;
        Some((message, Location::new(line.parse().ok()?, column.parse().ok()?)))
    });
    match place {
        Some((message, location)) => at(location, format!("SQL syntax: {message}")),
        None => BuildError::new(format!("SQL syntax: {text}")),
    }
}

/// A name as the engine sees it: unquoted identifiers are lower case.
fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

fn fold_name(name: &ObjectName) -> Option<Vec<String>> {
    name.0
        .iter()
        .map(|part| match part {
            ObjectNamePart::Identifier(ident) => Some(fold(ident)),
            ObjectNamePart::Function(_) => None,
        })
        .collect()
}

struct Script<'a> {
    manifest: &'a Manifest,
    views: BTreeSet<String>,
    written: BTreeSet<String>,
    read: BTreeSet<String>,
    /// Libraries whose functions are called.
    called: BTreeSet<String>,
    parameters: BTreeSet<String>,
}

impl Script<'_> {
    fn statement(&mut self, statement: &Statement) -> Result<(), BuildError> {
        match statement {
            Statement::CreateView(view) => {
                let kind =
                    if view.or_replace { "OR REPLACE TEMPORARY VIEW" } else { "TEMPORARY VIEW" };
                must_be_plain(statement, &view.name, kind, &view.query)?;
                self.query(&view.query)?;
                self.view(&view.name, view.or_replace)
            }
            Statement::CreateTable(table) => {
                let query = table.query.as_ref().ok_or_else(|| {
                    let message = format!("`CREATE TABLE {}` has no `AS SELECT …`", table.name);
                    at(table.name.span().start, message).help(ALLOWED)
                })?;
                must_be_plain(statement, &table.name, "TABLE", query)?;
                self.query(query)?;
                self.output(&table.name)
            }
            other => {
                let message = format!("statement `{} …` is not allowed", first_words(other, 3));
                Err(at(other.span().start, message).help(ALLOWED))
            }
        }
    }

    fn view(&mut self, name: &ObjectName, replace: bool) -> Result<(), BuildError> {
        let place = name.span().start;
        let folded = fold_name(name).unwrap_or_default();
        let [folded] = folded.as_slice() else {
            return Err(at(place, format!("the name of view `{name}` has more than one part")));
        };
        if !self.views.insert(folded.clone()) && !replace {
            return Err(at(place, format!("view `{name}` is created twice")));
        }
        Ok(())
    }

    fn output(&mut self, name: &ObjectName) -> Result<(), BuildError> {
        let place = name.span().start;
        let folded = fold_name(name).unwrap_or_default();
        let output = match folded.as_slice() {
            [schema, output] if schema == OUTPUT_SCHEMA => output,
            _ => return Err(at(place, format!("table `{name}` is not an output")).help(ALLOWED)),
        };
        if !self.manifest.outputs.keys().any(|declared| declared.as_str() == output) {
            return Err(at(place, format!("output `{output}` is not declared in the header"))
                .help(format!("declared are {}", list(self.manifest.outputs.keys()))));
        }
        if !self.written.insert(output.clone()) {
            return Err(at(place, format!("output `{output}` is written twice")));
        }
        Ok(())
    }

    fn query(&mut self, query: &Query) -> Result<(), BuildError> {
        let mut names = Names::default();
        if let ControlFlow::Break(error) = query.visit(&mut names) {
            return Err(*error);
        }
        for (name, place) in names.parameters {
            if !self.manifest.parameters.keys().any(|declared| declared.as_str() == name) {
                return Err(at(
                    place.start,
                    format!("parameter `:{name}` is not declared in the header"),
                )
                .help(format!("add [parameters.{name}] with its type")));
            }
            self.parameters.insert(name);
        }
        for (name, place) in names.functions {
            let declared =
                self.manifest.libraries.keys().find(|library| name[0] == library.as_str());
            let Some(library) = declared else {
                let libraries = list(self.manifest.libraries.keys());
                let message = format!("library `{}` is not declared in the header", name[0]);
                return Err(at(place.start, message).help(format!("declared are {libraries}")));
            };
            self.called.insert(library.to_string());
        }
        for (name, place) in names.relations {
            let known = match name.as_slice() {
                [name] => self.views.contains(name) || names.common.contains(name),
                [schema, _] if schema == OUTPUT_SCHEMA => {
                    return Err(at(
                        place.start,
                        format!("output `{}` cannot be read", name.join(".")),
                    )
                    .help("put the query into a temporary view and read the view twice"));
                }
                _ => {
                    let name = name.join(".");
                    let declared = self.manifest.inputs.keys().any(|input| input.as_str() == name);
                    self.read.insert(name);
                    declared
                }
            };
            if !known {
                return Err(at(
                    place.start,
                    format!("table `{}` is not declared as an input", name.join(".")),
                )
                .help(format!("declared are {}", list(self.manifest.inputs.keys()))));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<(), BuildError> {
        let written = |name: &&_| !self.written.contains::<str>(AsRef::as_ref(*name));
        if let Some(output) = self.manifest.outputs.keys().find(written) {
            return Err(BuildError::new(format!("output `{output}` is declared but not written"))
                .help(format!("add `CREATE TABLE output.{output} AS SELECT …`")));
        }
        let used = |name: &&_| !self.parameters.contains::<str>(AsRef::as_ref(*name));
        if let Some(parameter) = self.manifest.parameters.keys().find(used) {
            return Err(BuildError::new(format!(
                "parameter `{parameter}` is declared but not used"
            ))
            .help(format!("write `:{parameter}` in a statement, or delete the declaration")));
        }
        let called = |name: &&_| !self.called.contains::<str>(AsRef::as_ref(*name));
        if let Some(library) = self.manifest.libraries.keys().find(called) {
            return Err(BuildError::new(format!("library `{library}` is declared but not called"))
                .help(format!("call `{library}.function(…)`, or delete the declaration")));
        }
        let read = |name: &&_| !self.read.contains::<str>(AsRef::as_ref(*name));
        if let Some(input) = self.manifest.inputs.keys().find(read) {
            return Err(BuildError::new(format!("input `{input}` is declared but not read"))
                .help("its owner would have to grant it for nothing: delete the declaration"));
        }
        Ok(())
    }
}

/// Refuses every clause but name and query: the statement must read as its plain form does.
fn must_be_plain(
    statement: &Statement,
    name: &ObjectName,
    kind: &str,
    query: &Query,
) -> Result<(), BuildError> {
    if statement.to_string() == format!("CREATE {kind} {name} AS {query}") {
        return Ok(());
    }
    let message = format!(
        "`{} …` is not a plain `CREATE {kind} {name} AS SELECT …`",
        first_words(statement, 5)
    );
    Err(at(name.span().start, message).help(ALLOWED))
}

fn first_words(statement: &Statement, count: usize) -> String {
    statement.to_string().split_whitespace().take(count).collect::<Vec<_>>().join(" ")
}

fn list<'a, T: AsRef<str> + 'a>(names: impl Iterator<Item = &'a T>) -> String {
    let names: Vec<_> = names.map(|name| format!("`{}`", name.as_ref())).collect();
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

/// Names that one query uses.
#[derive(Default)]
struct Names {
    relations: Vec<(Vec<String>, Span)>,
    /// Names of common table expressions anywhere in the query.
    common: BTreeSet<String>,
    parameters: Vec<(String, Span)>,
    /// Functions of libraries: two words each.
    functions: Vec<(Vec<String>, Span)>,
    /// The name of the table function whose relation comes next.
    table_function: Option<ObjectName>,
}

impl Names {
    /// Notes a function whose name has several words.
    fn call(&mut self, name: &ObjectName) {
        if name.0.len() > 1
            && let Some(folded) = fold_name(name)
        {
            self.functions.push((folded, name.span()));
        }
    }

    /// A table function reads the tables that it is given by their names.
    fn table_argument(&mut self, argument: &FunctionArg) {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expression)) = argument else { return };
        let (parts, span) = match expression {
            Expr::Identifier(ident) => (vec![fold(ident)], ident.span),
            Expr::CompoundIdentifier(idents) => {
                (idents.iter().map(fold).collect(), expression.span())
            }
            _ => return,
        };
        self.relations.push((parts, span));
    }
}

impl Visitor for Names {
    type Break = Box<BuildError>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Self::Break> {
        let tables = query.with.iter().flat_map(|with| &with.cte_tables);
        self.common.extend(tables.map(|table| fold(&table.alias.name)));
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> ControlFlow<Self::Break> {
        if let TableFactor::Table { name, args: Some(arguments), .. } = table {
            self.call(name);
            arguments.args.iter().for_each(|argument| self.table_argument(argument));
            self.table_function = Some(name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expression: &Expr) -> ControlFlow<Self::Break> {
        if let Expr::Function(function) = expression {
            self.call(&function.name);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<Self::Break> {
        if self.table_function.take().is_some_and(|function| function == *relation) {
            return ControlFlow::Continue(());
        }
        match fold_name(relation) {
            Some(name) => {
                self.relations.push((name, relation.span()));
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(Box::new(at(
                relation.span().start,
                format!("`{relation}` is not a table"),
            ))),
        }
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Self::Break> {
        let Value::Placeholder(text) = &value.value else {
            return ControlFlow::Continue(());
        };
        match text.strip_prefix(':') {
            Some(name) => {
                self.parameters.push((name.to_owned(), value.span));
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(Box::new(
                at(value.span.start, format!("placeholder `{text}` has no name"))
                    .help("write parameters as `:name`"),
            )),
        }
    }
}
