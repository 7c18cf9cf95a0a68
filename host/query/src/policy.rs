//! Which SQL may run: the checks of text and syntax.
//!
//! Everything is refused that is not named here. The checks run in this order, each cheap enough
//! for what has passed before it: bytes and tokens (a flat scan), the parser with a bounded
//! depth, the kind of statement, its clauses, the depth of its expressions, the names of its
//! tables. [`crate::plan_policy`] then checks what the statement means.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectName, ObjectNamePart, Query, Select, SetExpr, Statement, TableFactor, Visit,
    Visitor,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};
use glovebox_contract::reason::ReasonCode;

use crate::catalog::GrantedCatalog;
use crate::error::{Result, error};

/// Most bytes of a script or a query.
pub(crate) const MOST_BYTES: usize = 256 * 1024;

/// Most tokens of one statement, white space and comments aside.
pub(crate) const MOST_TOKENS: usize = 8_192;

/// Most statements of a script.
pub(crate) const MOST_STATEMENTS: usize = 256;

/// Deepest nesting of expressions, where `1 + 1 + 1` is two deep.
pub(crate) const MOST_DEPTH: usize = 512;

/// Deepest nesting of parentheses and subqueries.
const PARSER_DEPTH: usize = 96;

fn refused(what: &str) -> glovebox_sandbox::services::HostError {
    error(ReasonCode::SqlRefused, format!("{what} is not allowed"))
}

fn too_complex(what: &str) -> glovebox_sandbox::services::HostError {
    error(ReasonCode::SqlTooComplex, format!("the statement has too {what}"))
}

fn invalid(failure: &ParserError) -> glovebox_sandbox::services::HostError {
    match failure {
        ParserError::RecursionLimitExceeded => too_complex("deep a nesting"),
        // The parser quotes the statement only, which its author wrote.
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let text: String = text.chars().take(200).collect();
            error(ReasonCode::SqlInvalid, format!("syntax error: {text}"))
        }
    }
}

fn tokens(text: &str) -> Result<Vec<TokenWithSpan>> {
    if text.len() > MOST_BYTES {
        return Err(too_complex("many bytes"));
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text)
        .tokenize_with_location()
        .map_err(|failure| invalid(&failure.into()))?;
    let statements = tokens.split(|token| token.token == Token::SemiColon);
    let mut count = 0;
    for statement in statements {
        let weight = statement.iter().filter(|t| !matches!(t.token, Token::Whitespace(_))).count();
        if weight > MOST_TOKENS {
            return Err(too_complex("many parts"));
        }
        check_nesting(statement)?;
        count += usize::from(weight > 0);
    }
    if count > MOST_STATEMENTS {
        return Err(error(ReasonCode::SqlTooComplex, "the script has too many statements"));
    }
    Ok(tokens)
}

/// Deepest nesting of syntax that the parser tries twice when something inside of it is wrong, so
/// that each level doubles its time: `CASE`, and calls of these keywords.
const MOST_RETRIED: usize = 12;

const RETRIED: [&str; 14] = [
    "ARRAY",
    "CAST",
    "CEIL",
    "CONVERT",
    "EXTRACT",
    "FLOOR",
    "OVERLAY",
    "POSITION",
    "SAFE_CAST",
    "SUBSTR",
    "SUBSTRING",
    "TRIM",
    "TRY_CAST",
    "TRY_CONVERT",
];

/// What an open bracket belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    Plain,
    Retried,
    Case,
}

/// Checks how deep brackets, `CASE` and prefix operators are nested, so that the parser need not
/// find out: it takes too long for some of them, and gives misleading errors for others.
fn check_nesting(statement: &[TokenWithSpan]) -> Result<()> {
    let mut open: Vec<Nested> = Vec::new();
    let mut retried = 0_usize;
    let mut prefixes = 0_usize;
    let mut before = "";
    for TokenWithSpan { token, .. } in statement {
        let word = match token {
            Token::Whitespace(_) => continue,
            Token::Word(word) if word.quote_style.is_none() => word.value.as_str(),
            _ => "",
        };
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        match token {
            Token::LParen | Token::LBracket | Token::LBrace => {
                let twice = RETRIED.iter().any(|name| before.eq_ignore_ascii_case(name));
                open.push(if twice { Nested::Retried } else { Nested::Plain });
                retried += usize::from(twice);
            }
            Token::RParen | Token::RBracket | Token::RBrace => {
                while let Some(closed) = open.pop() {
                    retried -= usize::from(closed != Nested::Plain);
                    if closed != Nested::Case {
                        break;
                    }
                }
            }
            _ if is("case") => {
                open.push(Nested::Case);
                retried += 1;
            }
            _ if is("end") && open.last() == Some(&Nested::Case) => {
                open.pop();
                retried -= 1;
            }
            _ => {}
        }
        let is_prefix = is("not")
            || matches!(token, Token::Minus | Token::Plus | Token::Tilde | Token::ExclamationMark);
        prefixes = if is_prefix { prefixes + 1 } else { 0 };
        before = word;
        if open.len() > PARSER_DEPTH || prefixes > PARSER_DEPTH || retried > MOST_RETRIED {
            return Err(too_complex("deep a nesting"));
        }
    }
    Ok(())
}

fn parser(text: &str) -> Result<Parser<'static>> {
    const DIALECT: &GenericDialect = &GenericDialect {};
    Ok(Parser::new(DIALECT)
        .with_recursion_limit(PARSER_DEPTH)
        .with_tokens_with_locations(tokens(text)?))
}

/// The statements of a script, parsed but not checked.
pub(crate) fn parse_script(text: &str) -> Result<Vec<Statement>> {
    parser(text)?.parse_statements().map_err(|failure| invalid(&failure))
}

/// The one query in `text`, checked.
pub(crate) fn parse_query(text: &str) -> Result<Box<Query>> {
    let mut statements = parse_script(text)?.into_iter();
    match (statements.next(), statements.next()) {
        (Some(Statement::Query(query)), None) => {
            check_syntax(&query)?;
            Ok(query)
        }
        (Some(_), None) => Err(refused("a statement other than SELECT")),
        (None, _) => Err(error(ReasonCode::SqlInvalid, "there is no statement")),
        _ => Err(refused("more than one statement")),
    }
}

/// The predicate in `text`, checked. A predicate has no subquery.
pub(crate) fn parse_predicate(text: &str) -> Result<Expr> {
    let mut parser = parser(text)?;
    let predicate = parser.parse_expr().map_err(|failure| invalid(&failure))?;
    if parser.peek_token().token != Token::EOF {
        return Err(error(ReasonCode::SqlInvalid, "the filter is more than one predicate"));
    }
    check_visited(&predicate, false)?;
    Ok(predicate)
}

/// Checks the clauses of a query and of all queries in it.
pub(crate) fn check_syntax(query: &Query) -> Result<()> {
    check_visited(query, true)
}

fn check_visited(syntax: &impl Visit, queries: bool) -> Result<()> {
    let mut checker = Checker { depth: 0, queries };
    match syntax.visit(&mut checker) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(failure) => Err(failure),
    }
}

/// Checks that each table that `query` reads is one that SQL may name.
pub(crate) fn check_tables(query: &Query, catalog: &GrantedCatalog) -> Result<()> {
    let statement = Statement::Query(Box::new(query.clone()));
    let statement = PlannedStatement::Statement(Box::new(statement));
    let (tables, _) = resolve_table_references(&statement, true)
        .map_err(|failure| crate::error::planning(&failure))?;
    match tables.iter().find(|table| !catalog.has(table)) {
        None => Ok(()),
        Some(table) => Err(error(
            ReasonCode::TableNotGranted,
            format!("table {} is not granted", shown(table)),
        )),
    }
}

/// Most tables that a statement reads, with each view and common table counted as often as it is
/// named. Planning expands them all, so a chain of doublings must stop before it.
const MOST_TABLES: usize = 512;

/// Most steps that counting tables may take.
const MOST_STEPS: usize = 50_000;

/// Counts the tables that `query` reads once its views and common tables are expanded.
pub(crate) fn check_expansion(query: &Query, catalog: &GrantedCatalog) -> Result<usize> {
    let mut counter = Counter { catalog, common: BTreeMap::new(), tables: 1, steps: 0 };
    match query.visit(&mut counter) {
        ControlFlow::Continue(()) => Ok(counter.tables),
        ControlFlow::Break(failure) => Err(failure),
    }
}

struct Counter<'a> {
    catalog: &'a GrantedCatalog,
    /// Tables that each common table reads. Scopes are ignored: the largest of a name counts.
    common: BTreeMap<String, usize>,
    tables: usize,
    steps: usize,
}

impl Visitor for Counter<'_> {
    type Break = glovebox_sandbox::services::HostError;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        for table in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.steps += 1;
            let mut inner = Counter {
                catalog: self.catalog,
                common: std::mem::take(&mut self.common),
                tables: 1,
                steps: self.steps,
            };
            let visited = table.query.visit(&mut inner);
            self.steps = inner.steps;
            self.common = inner.common;
            visited?;
            let known = self.common.entry(meaning(&table.alias.name)).or_default();
            *known = inner.tables.max(*known);
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> Flow {
        let weight = match relation.0.as_slice() {
            [ObjectNamePart::Identifier(name)] => {
                let name = meaning(name);
                let common = self.common.get(&name).copied().unwrap_or(1);
                common.max(self.catalog.view_tables(&name))
            }
            [ObjectNamePart::Identifier(alias), ObjectNamePart::Identifier(name)] => {
                self.catalog.granted_tables(&meaning(alias), &meaning(name))
            }
            _ => 1,
        };
        self.tables = self.tables.saturating_add(weight);
        self.steps += 1;
        if self.tables > MOST_TABLES || self.steps > MOST_STEPS {
            return ControlFlow::Break(too_complex("many tables"));
        }
        ControlFlow::Continue(())
    }
}

/// An identifier as SQL means it: lower case unless quoted.
pub(crate) fn meaning(identifier: &Ident) -> String {
    match identifier.quote_style {
        Some(_) => identifier.value.clone(),
        None => identifier.value.to_lowercase(),
    }
}

fn shown(table: &TableReference) -> String {
    table.to_quoted_string().chars().take(200).collect::<String>().escape_debug().to_string()
}

struct Checker {
    depth: usize,
    queries: bool,
}

type Flow = ControlFlow<glovebox_sandbox::services::HostError>;

fn allow_if(allowed: bool, what: &str) -> Flow {
    if allowed { ControlFlow::Continue(()) } else { ControlFlow::Break(refused(what)) }
}

impl Visitor for Checker {
    type Break = glovebox_sandbox::services::HostError;

    fn pre_visit_statement(&mut self, _statement: &Statement) -> Flow {
        ControlFlow::Break(refused("a statement inside of a query"))
    }

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        allow_if(self.queries, "a subquery in a filter")?;
        let Query {
            with,
            body,
            order_by: _,
            limit_clause: _,
            fetch: _,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        allow_if(!with.as_ref().is_some_and(|with| with.recursive), "WITH RECURSIVE")?;
        allow_if(locks.is_empty() && for_clause.is_none(), "FOR")?;
        allow_if(settings.is_none() && format_clause.is_none(), "SETTINGS or FORMAT")?;
        allow_if(pipe_operators.is_empty(), "a pipe operator")?;
        check_set(body)
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        allow_if(select.into.is_none(), "SELECT INTO")?;
        allow_if(select.top.is_none(), "TOP")?;
        allow_if(select.lateral_views.is_empty(), "LATERAL VIEW")?;
        allow_if(select.prewhere.is_none(), "PREWHERE")?;
        allow_if(select.connect_by.is_empty(), "CONNECT BY")?;
        allow_if(select.cluster_by.is_empty(), "CLUSTER BY")?;
        allow_if(select.distribute_by.is_empty(), "DISTRIBUTE BY")?;
        allow_if(select.sort_by.is_empty(), "SORT BY")?;
        allow_if(select.value_table_mode.is_none(), "SELECT AS VALUE")?;
        allow_if(select.select_modifiers.is_none(), "a modifier of SELECT")
    }

    fn pre_visit_table_factor(&mut self, table: &TableFactor) -> Flow {
        match table {
            TableFactor::Table {
                name,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                // Which functions of libraries there are, planning knows.
                allow_if(args.is_none() || name.0.len() == 2, "a table function")?;
                let plain = with_hints.is_empty()
                    && version.is_none()
                    && !with_ordinality
                    && partitions.is_empty()
                    && json_path.is_none()
                    && sample.is_none()
                    && index_hints.is_empty();
                allow_if(plain, "a table with hints, versions, partitions or samples")
            }
            TableFactor::Derived { lateral, sample, .. } => {
                allow_if(!lateral, "LATERAL")?;
                allow_if(sample.is_none(), "a sample")
            }
            TableFactor::NestedJoin { .. } | TableFactor::UNNEST { .. } => {
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(refused("this kind of table")),
        }
    }

    fn pre_visit_expr(&mut self, _expression: &Expr) -> Flow {
        self.depth += 1;
        if self.depth > MOST_DEPTH {
            return ControlFlow::Break(too_complex("many nested expressions"));
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _expression: &Expr) -> Flow {
        self.depth = self.depth.saturating_sub(1);
        ControlFlow::Continue(())
    }
}

fn check_set(body: &SetExpr) -> Flow {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::Values(_) => ControlFlow::Continue(()),
        SetExpr::SetOperation { left, right, .. } => {
            check_set(left)?;
            check_set(right)
        }
        SetExpr::Insert(_)
        | SetExpr::Update(_)
        | SetExpr::Delete(_)
        | SetExpr::Merge(_)
        | SetExpr::Table(_) => ControlFlow::Break(refused("this statement inside of a query")),
    }
}
