//! Which SQL may run: the checks of text and syntax.
//!
//! Everything is refused that is not named here. The checks run in this order, each cheap enough
//! for what has passed before it: bytes and tokens (a flat scan), the parser with a bounded
//! depth, the kind of statement, its clauses, the depth of its expressions, the names of its
//! tables. [`crate::plan_policy`] then checks what the statement means.

use std::ops::ControlFlow;

use datafusion::common::TableReference;
use datafusion::sql::parser::Statement as PlannedStatement;
use datafusion::sql::resolve::resolve_table_references;
use datafusion::sql::sqlparser::ast::{
    Expr, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor,
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
        count += usize::from(weight > 0);
    }
    if count > MOST_STATEMENTS {
        return Err(error(ReasonCode::SqlTooComplex, "the script has too many statements"));
    }
    Ok(tokens)
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
                name: _,
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
                allow_if(args.is_none(), "a table function")?;
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
