//! Parse then encode is the identity, for any statement there can be.

use std::collections::{BTreeMap, BTreeSet};

use glovebox_contract::canonical::{self, MAX_INTEGER};
use glovebox_contract::column::{Column, ColumnType, TimeUnit};
use glovebox_contract::digest::{Blake3Digest, ContentDigest, Sha256Digest};
use glovebox_contract::envelope::Envelope;
use glovebox_contract::key::PrivateKey;
use glovebox_contract::manifest::OutputMode;
use glovebox_contract::name::{AssetName, Identifier, RoomId, RunId, TableName};
use glovebox_contract::parameter::ParameterValue;
use glovebox_contract::reason::ReasonCode;
use glovebox_contract::receipt::{EvidenceClass, Outcome, OutputFile, Receipt, Usage};
use glovebox_contract::statement::{
    AllowedValues, Amount, AssetStatement, AutoApproval, Billing, Body, Cancel, Conditions,
    Decision, Delete, Deprecate, FileDigest, Grant, JailMode, Kind, LogReaders,
    MAX_STATEMENT_BYTES, OutputRead, Pause, Pin, Prices, Recipient, Refused, Resume, Review,
    RoomDocument, Rotate, Rule, RunRequest, RunStart, Share, Shared, SharedRead, Snapshot,
    Statement, TableAsset,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::support::{document, notebook, parse};

fn blake3() -> impl Strategy<Value = Blake3Digest> {
    any::<[u8; 32]>().prop_map(Blake3Digest::from_bytes)
}

fn content() -> impl Strategy<Value = ContentDigest> {
    (blake3(), any::<[u8; 32]>().prop_map(Sha256Digest::from_bytes))
        .prop_map(|(blake3, sha256)| ContentDigest { blake3, sha256 })
}

fn identifier() -> impl Strategy<Value = Identifier> {
    "[a-z][a-z0-9_]{0,20}".prop_map(|text| parse(&text))
}

fn asset_name() -> impl Strategy<Value = AssetName> {
    "[a-z][a-z0-9_.-]{0,20}".prop_map(|text| parse(&text))
}

fn table_name() -> impl Strategy<Value = TableName> {
    "[a-z][a-z0-9_]{0,9}\\.[a-z][a-z0-9_]{0,9}".prop_map(|text| parse(&text))
}

fn number() -> impl Strategy<Value = u64> {
    prop_oneof![0..100_u64, 0..=MAX_INTEGER]
}

/// Text of any language, with line ends and quotes, without the characters that are refused.
fn text() -> impl Strategy<Value = String> {
    "[\\p{L}\\p{N}\\p{S}\"\\\\/ \n\t]{0,40}"
}

fn reason() -> impl Strategy<Value = ReasonCode> {
    select(ReasonCode::ALL)
}

fn run_id() -> impl Strategy<Value = RunId> {
    blake3().prop_map(|digest| RunId::of_request(&digest))
}

fn snapshots() -> impl Strategy<Value = BTreeMap<TableName, Snapshot>> {
    let file = (number(), content()).prop_map(|(bytes, digest)| FileDigest { bytes, digest });
    let pin = select(vec![Pin::Content, Pin::Version]);
    let snapshot = (vec(file, 0..3), pin, vec(number(), 0..3))
        .prop_map(|(files, pin, tables)| Snapshot { files, pin, tables });
    btree_map(table_name(), snapshot, 0..3)
}

fn parameter() -> impl Strategy<Value = ParameterValue> {
    prop_oneof![
        any::<bool>().prop_map(ParameterValue::Boolean),
        any::<i64>().prop_map(ParameterValue::Int64),
        (-719_000..2_932_000_i32).prop_map(ParameterValue::Date),
        text().prop_map(ParameterValue::Utf8),
        proptest::num::f64::NORMAL.prop_map(ParameterValue::Float64),
    ]
}

fn column_type() -> impl Strategy<Value = ColumnType> {
    let unit = select(vec![
        TimeUnit::Second,
        TimeUnit::Millisecond,
        TimeUnit::Microsecond,
        TimeUnit::Nanosecond,
    ]);
    let leaf = prop_oneof![
        select(vec![
            ColumnType::Null,
            ColumnType::Boolean,
            ColumnType::Int8,
            ColumnType::UInt64,
            ColumnType::Float16,
            ColumnType::Date64,
            ColumnType::Utf8View,
            ColumnType::LargeBinary
        ]),
        (1..1000_u32).prop_map(ColumnType::FixedSizeBinary),
        (1..=38_u8)
            .prop_flat_map(|p| (Just(p), -10..=(p as i8)))
            .prop_map(|(p, s)| ColumnType::Decimal128(p, s)),
        (1..=76_u8)
            .prop_flat_map(|p| (Just(p), -10..=(p as i8)))
            .prop_map(|(p, s)| ColumnType::Decimal256(p, s)),
        select(vec![TimeUnit::Second, TimeUnit::Millisecond]).prop_map(ColumnType::Time32),
        select(vec![TimeUnit::Microsecond, TimeUnit::Nanosecond]).prop_map(ColumnType::Time64),
        (unit.clone(), option::of("[A-Za-z0-9_/+:-]{1,20}"))
            .prop_map(|(unit, zone)| ColumnType::Timestamp(unit, zone)),
        unit.prop_map(ColumnType::Duration),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|item| ColumnType::List(Box::new(item))),
            inner.clone().prop_map(|item| ColumnType::LargeList(Box::new(item))),
            inner.clone().prop_map(|item| ColumnType::Dictionary(
                Box::new(ColumnType::UInt16),
                Box::new(item)
            )),
            vec(("[A-Za-z0-9_]{1,8}", inner), 1..3).prop_map(ColumnType::Struct),
        ]
    })
}

fn table() -> impl Strategy<Value = TableAsset> {
    let column = (any::<bool>(), column_type());
    (btree_map("[\\p{L} \"]{1,10}", column, 1..5), text(), table_name()).prop_map(
        |(columns, description, name)| TableAsset {
            columns: columns
                .into_iter()
                .map(|(name, (nullable, column_type))| Column { name, nullable, column_type })
                .collect(),
            description,
            join_keys: std::collections::BTreeMap::new(),
            name,
            output: None,
            view: None,
        },
    )
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let file = (number(), content(), number()).prop_map(|(bytes, digest, rows)| OutputFile {
        bytes,
        content: digest.blake3,
        digest,
        rows,
    });
    prop_oneof![
        reason().prop_map(|reason| Outcome::Failed { reason }),
        btree_map(identifier(), file, 0..3).prop_map(|outputs| Outcome::Succeeded { outputs }),
    ]
}

fn receipt() -> impl Strategy<Value = Receipt> {
    let digests = (blake3(), blake3(), blake3(), run_id());
    let usage = (number(), number(), number());
    (digests, number(), snapshots(), asset_name(), outcome(), usage).prop_map(
        |((computation, revision, start, run), finished_at, inputs, notebook, outcome, usage)| {
            Receipt {
                computation,
                evidence: EvidenceClass::Asserted,
                finished_at,
                inputs,
                notebook,
                outcome,
                revision,
                run,
                start,
                usage: Usage::rounded(usage.0, usage.1, usage.2),
            }
        },
    )
}

fn run_start() -> impl Strategy<Value = RunStart> {
    let digests = (blake3(), blake3(), blake3(), blake3());
    let jail = select(vec![JailMode::Full, JailMode::Off]);
    let owner = select(vec!["airline", "weather"]).prop_map(parse);
    let rules = btree_map(owner, btree_set(asset_name(), 1..3), 0..3);
    (digests, snapshots(), jail, rules, run_id()).prop_map(
        |((engine, grants_digest, host_binary, request), inputs, jail, rules, run)| RunStart {
            engine,
            grants_digest,
            host_binary,
            inputs,
            jail,
            request,
            rules,
            run,
        },
    )
}

fn amount() -> impl Strategy<Value = Amount> {
    "[0-9]{1,12}(\\.[0-9]{1,9})?".prop_map(|text| parse(&text))
}

fn billing() -> impl Strategy<Value = Billing> {
    let payer = option::of(select(vec!["airline", "weather"]));
    let prices = (amount(), amount(), amount(), amount()).prop_map(
        |(cpu_second, gib_in, gib_out, gib_second)| Prices {
            cpu_second,
            gib_in,
            gib_out,
            gib_second,
        },
    );
    let prices = prop_oneof![Just(Prices::default()), prices];
    (payer, prices).prop_map(|(payer, prices)| Billing {
        currency: "EUR".into(),
        payer: payer.map(parse),
        prices,
    })
}

fn conditions() -> impl Strategy<Value = Conditions> {
    let allowed = (vec(text(), 1..3), option::of(text()), option::of(text()))
        .prop_map(|(choices, maximum, minimum)| AllowedValues { choices, maximum, minimum });
    let flags = (any::<bool>(), any::<bool>());
    (
        flags,
        option::of(number()),
        option::of(1..=MAX_INTEGER),
        btree_map(identifier(), allowed, 0..3),
    )
        .prop_map(|((capabilities, outputs), expires, max_runs, parameters)| Conditions {
            capabilities_not_grown: capabilities,
            expires,
            max_runs,
            outputs_unchanged: outputs,
            parameters,
        })
}

fn deprecate() -> impl Strategy<Value = Deprecate> {
    (asset_name(), text(), blake3(), option::of(number()))
        .prop_map(|(notebook, note, revision, until)| Deprecate { notebook, note, revision, until })
}

fn review() -> impl Strategy<Value = Review> {
    let decision = select(vec![Decision::Approve, Decision::Reject, Decision::Revoke]);
    (text(), decision, asset_name(), blake3()).prop_map(
        |(comment, decision, notebook, revision)| Review { comment, decision, notebook, revision },
    )
}

fn refused() -> impl Strategy<Value = Refused> {
    (option::of(Just(parse("airline"))), reason(), option::of(run_id()), option::of(blake3()))
        .prop_map(|(party, reason, run, statement)| Refused {
            party,
            reason,
            run,
            statement,
            what: "x".into(),
        })
}

fn assets() -> impl Strategy<Value = AssetStatement> {
    let mode = select(vec![OutputMode::Replace, OutputMode::Append]);
    let notebook = (option::of(number()), any::<bool>(), content(), mode).prop_map(
        |(cutover, hidden, component, mode)| {
            let mut notebook = notebook("1.2.3");
            notebook.manifest.outputs.values_mut().for_each(|output| output.mode = mode);
            (notebook.cutover, notebook.hidden, notebook.component) = (cutover, hidden, component);
            notebook.runners = BTreeSet::from([parse("airline"), parse("weather")]);
            AssetStatement::Notebook(Box::new(notebook))
        },
    );
    prop_oneof![table().prop_map(AssetStatement::Table), notebook]
}

fn room() -> impl Strategy<Value = RoomDocument> {
    let provider = option::of(select(vec!["airline", "weather"]));
    let readers = select(vec![LogReaders::Author, LogReaders::All, LogReaders::Runner]);
    (provider, readers, option::of(billing())).prop_map(|(provider, readers, billing)| {
        let mut document = document(&["airline", "weather"]);
        document.log_readers = if provider.is_some() { LogReaders::Runner } else { readers };
        document.billing = billing;
        document.package_provider = provider.map(parse);
        document
    })
}

fn rule() -> impl Strategy<Value = Rule> {
    let author = option::of(select(vec!["airline", "partner"]));
    prop_oneof![
        (author, conditions(), asset_name()).prop_map(|(author, conditions, id)| {
            let (author, runner) = (author.map(parse), parse("weather"));
            Rule::Add(AutoApproval { author, conditions, id, runner })
        }),
        asset_name().prop_map(|id| Rule::Remove { id }),
    ]
}

fn share() -> impl Strategy<Value = Share> {
    let token = any::<[u8; 32]>().prop_map(Sha256Digest::from_bytes);
    let recipient = (number(), asset_name(), option::of(number()), token).prop_map(
        |(expires, name, previous_until, token)| {
            Share::Recipient(Recipient { expires, name, previous_until, token })
        },
    );
    let what = prop_oneof![
        (asset_name(), option::of(identifier()))
            .prop_map(|(notebook, output)| Shared::Output { notebook, output }),
        table_name().prop_map(|table| Shared::Table { table }),
        Just(Shared::Events {}),
    ];
    let grant = (asset_name(), asset_name(), option::of(number()), what).prop_map(
        |(recipient, share, until, what)| Share::Grant(Grant { recipient, share, until, what }),
    );
    let revoke = (asset_name(), option::of(asset_name()))
        .prop_map(|(recipient, share)| Share::Revoke { recipient, share });
    prop_oneof![recipient, grant, revoke]
}

fn shared_read() -> impl Strategy<Value = SharedRead> {
    (asset_name(), asset_name(), table_name(), number()).prop_map(
        |(recipient, share, what, version)| SharedRead {
            owner: parse("weather"),
            recipient,
            share,
            version,
            what: what.to_string(),
        },
    )
}

fn body() -> impl Strategy<Value = Body> {
    let request = (asset_name(), btree_map(identifier(), parameter(), 0..4), blake3())
        .prop_map(|(notebook, parameters, revision)| RunRequest { notebook, parameters, revision });
    let pause = (text(), option::of(asset_name()))
        .prop_map(|(comment, notebook)| Pause { comment, notebook });
    let rotate = any::<[u8; 32]>().prop_map(|seed| {
        let room = RoomId(Blake3Digest::of(b"room"));
        Rotate::to(&PrivateKey::from_seed(&seed), &room, &parse("airline"))
    });
    let delete = prop_oneof![
        table_name().prop_map(|table| Delete::Table { table }),
        asset_name().prop_map(|notebook| Delete::Notebook { notebook }),
        run_id().prop_map(|run| Delete::Outputs { run }),
    ];
    prop_oneof![
        Just(Body::Accept),
        room().prop_map(Body::Room),
        assets().prop_map(Body::Asset),
        review().prop_map(Body::Review),
        request.prop_map(Body::RunRequest),
        run_start().prop_map(Body::RunStart),
        receipt().prop_map(|receipt| Body::RunReceipt(Box::new(receipt))),
        (identifier(), run_id())
            .prop_map(|(output, run)| Body::OutputRead(OutputRead { output, run })),
        pause.prop_map(Body::Pause),
        option::of(asset_name()).prop_map(|notebook| Body::Resume(Resume { notebook })),
        rotate.prop_map(Body::Rotate),
        delete.prop_map(Body::Delete),
        refused().prop_map(Body::Refused),
        run_id().prop_map(|run| Body::Cancel(Cancel { run })),
        rule().prop_map(Body::Rule),
        share().prop_map(Body::Share),
        shared_read().prop_map(Body::SharedRead),
        deprecate().prop_map(Body::Deprecate),
    ]
}

fn statement() -> impl Strategy<Value = Statement> {
    (body(), number(), blake3(), 1..=MAX_INTEGER).prop_map(|(body, issued_at, room, sequence)| {
        let room = (!matches!(body, Body::Room(_))).then_some(RoomId(room));
        Statement { body, issued_at, party: parse("airline"), room, sequence }
    })
}

#[test]
fn statements_of_every_kind_are_tried() {
    let mut runner = TestRunner::deterministic();
    let bodies = body();
    let made: BTreeSet<Kind> =
        (0..1000).map(|_| bodies.new_tree(&mut runner).unwrap().current().kind()).collect();
    assert_eq!(made, Kind::ALL.iter().copied().collect());
}

proptest! {
    #[test]
    fn statements_survive(statement in statement()) {
        let bytes = canonical::encode(&statement).unwrap();
        let again: Statement = canonical::decode(&bytes, MAX_STATEMENT_BYTES).unwrap();
        prop_assert_eq!(&again, &statement);
        prop_assert_eq!(canonical::encode(&again).unwrap(), bytes);
    }

    #[test]
    fn envelopes_survive(statement in statement(), seed in any::<[u8; 32]>()) {
        let key = PrivateKey::from_seed(&seed);
        let envelope = Envelope::sign(&statement, &key).unwrap();
        let again = Envelope::from_bytes(&envelope.to_bytes()).unwrap();
        prop_assert_eq!(&again, &envelope);
        prop_assert_eq!(again.verify(&key.public()).unwrap(), statement);
    }

    #[test]
    fn column_types_survive(column_type in column_type()) {
        prop_assert_eq!(column_type.to_string().parse::<ColumnType>().unwrap(), column_type);
    }

    #[test]
    fn bytes_of_any_kind_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert!(Envelope::from_bytes(&bytes).is_err());
        prop_assert!(canonical::decode::<Statement>(&bytes, MAX_STATEMENT_BYTES).is_err());
    }
}
