use std::os::unix::fs::PermissionsExt as _;
use std::sync::LazyLock;

use ledger::codes::Code;
use ledger::leaf::Leaf;
use store::memory::MemoryEngine;
use tlog::checkpoint::SignedCheckpoint;
use tlog::policy::Policy;

use super::*;

const NOW_MS: u64 = 1_700_000_000_000;

/// One for all tests: each has a folder of its own.
static ENGINE: LazyLock<MemoryEngine> = LazyLock::new(MemoryEngine::new);

fn init(founding: &InitOptions, now_ms: u64) -> Result<RecordHash, InitError> {
    super::init(&*ENGINE, founding, now_ms)
}

fn founding(data: &Path) -> InitOptions {
    InitOptions {
        data: data.to_owned(),
        origin: "log.example/a".to_owned(),
        mode: None,
        keys: None,
        charter: None,
    }
}

fn charter_of(data: &Path) -> (Record, RecordHash) {
    let store = ENGINE.open(&store_path(data)).unwrap().store;
    let leaf = Leaf::parse(&store.leaves(0..1).unwrap()[0]).unwrap();
    assert_eq!(leaf.received_ms(), NOW_MS);
    let record = SignedRecord::from_envelope(leaf.into_envelope()).unwrap();
    (record.record().clone(), record.hash())
}

fn with_file(text: &str) -> Result<Charter, InitError> {
    let folder = tempfile::tempdir().unwrap();
    let charter = Some(text.to_owned());
    init(
        &InitOptions {
            charter,
            ..founding(folder.path())
        },
        NOW_MS,
    )?;
    let Body::Charter(charter) = charter_of(folder.path()).0.body else {
        panic!("no charter")
    };
    Ok(*charter)
}

#[test]
fn a_new_log_is_what_its_trust_says() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b");
    let fingerprint = init(&founding(&data), NOW_MS).unwrap();
    let trust = fs::read_to_string(data.join(TRUST_FILE)).unwrap();
    let trust: serde_json::Value = serde_json::from_str(&trust).unwrap();
    assert_eq!(trust["charter"], fingerprint.to_string());
    assert_eq!(trust.as_object().unwrap().len(), 2);
    assert_eq!(charter_of(&data).1, fingerprint);
    let store = ENGINE.open(&store_path(&data)).unwrap().store;
    let head = store.head().unwrap().unwrap();
    let policy = Policy::parse(trust["policy"].as_str().unwrap()).unwrap();
    let verified = policy
        .verify(&SignedCheckpoint::parse(&head.checkpoint).unwrap())
        .unwrap();
    assert_eq!((verified.size().get(), head.time_ms), (1, NOW_MS));
    let leaf = store.leaves(0..1).unwrap().remove(0);
    assert_eq!(*verified.root(), tlog::leaf_hash(&leaf));
    for file in KeyFile::ALL {
        let mode = fs::metadata(file.path(&data.join("keys")))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.name());
    }
}

#[test]
fn a_folder_with_anything_in_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    init(&founding(folder.path()), NOW_MS).unwrap();
    let key = fs::read(KeyFile::Log.path(&folder.path().join("keys"))).unwrap();
    let again = init(&founding(folder.path()), NOW_MS);
    assert!(matches!(again, Err(InitError::Exists { .. })), "{again:?}");
    fs::remove_file(folder.path().join(TRUST_FILE)).unwrap();
    let again = init(&founding(folder.path()), NOW_MS);
    assert!(
        matches!(again, Err(InitError::NotEmpty { .. })),
        "{again:?}"
    );
    assert_eq!(
        fs::read(KeyFile::Log.path(&folder.path().join("keys"))).unwrap(),
        key
    );
}

#[test]
fn keys_that_are_there_are_used_and_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let (data, key_folder) = (folder.path().join("data"), folder.path().join("keys"));
    fs::create_dir(&key_folder).unwrap();
    let root = PrivateKey::from_seed(&[7; 32]);
    keys::create(&KeyFile::Root.path(&key_folder), &root).unwrap();
    init(
        &InitOptions {
            keys: Some(key_folder.clone()),
            ..founding(&data)
        },
        NOW_MS,
    )
    .unwrap();
    assert_eq!(
        keys::read(&KeyFile::Root.path(&key_folder)).unwrap().seed(),
        [7; 32]
    );
    let Body::Charter(charter) = charter_of(&data).0.body else {
        panic!("no charter")
    };
    assert!(charter.grants(Role::Root, &root.public().id()));
    assert!(!data.join("keys").exists());
    let in_use = InitOptions {
        keys: Some(key_folder),
        ..founding(&folder.path().join("other"))
    };
    fs::write(KeyFile::Log.path(in_use.keys.as_ref().unwrap()), "no key").unwrap();
    let refused = init(&in_use, NOW_MS);
    assert!(
        matches!(refused, Err(InitError::Key(KeyError::NotAKey { .. }))),
        "{refused:?}"
    );
    assert!(!in_use.data.exists(), "nothing was written");
}

#[test]
fn a_log_key_signs_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let keys = Some(folder.path().join("keys"));
    let [first, second] = ["first", "second"].map(|name| InitOptions {
        keys: keys.clone(),
        ..founding(&folder.path().join(name))
    });
    init(&first, 1_000).unwrap();
    let refused = init(&second, 2_000).unwrap_err();
    assert!(
        matches!(refused, InitError::LogKeyInUse { .. }),
        "{refused}"
    );
    assert!(!second.data.exists(), "nothing was written");
}

#[test]
fn no_two_files_hold_one_key() {
    for (n, one) in KeyFile::ALL.into_iter().enumerate() {
        for other in KeyFile::ALL.into_iter().skip(n + 1) {
            let folder = tempfile::tempdir().unwrap();
            let keys = folder.path().join("keys");
            fs::create_dir(&keys).unwrap();
            let key = keys::draw().unwrap();
            keys::create(&one.path(&keys), &key).unwrap();
            keys::create(&other.path(&keys), &key).unwrap();
            let founding = InitOptions {
                keys: Some(keys),
                ..founding(&folder.path().join("data"))
            };
            let refused = init(&founding, 1_000).unwrap_err();
            assert!(matches!(refused, InitError::SameKey { .. }), "{refused}");
            assert!(!founding.data.exists());
        }
    }
}

#[test]
fn members_of_the_charter_file_go_over_the_defaults() {
    let charter =
        with_file("{\"liveness\":{\"degraded_after_ms\":1500,\"tolerance_ms\":100}}\n").unwrap();
    let want = Liveness {
        degraded_after_ms: 1_500,
        tolerance_ms: 100,
        ..Liveness::default()
    };
    assert_eq!(
        (charter.liveness, charter.limits),
        (want, Limits::default())
    );
    let charter = with_file(r#"{"mode":"observe","limits":{"denials_max":3}}"#).unwrap();
    assert_eq!(
        (charter.mode, charter.limits.denials_max),
        (Mode::Observe, 3)
    );
    assert_eq!(charter.keys.len(), 4);
}

#[test]
fn short_clocks_bring_a_short_tolerance_unless_the_file_names_one() {
    let tolerance = |file: &str| with_file(file).map(|charter| charter.liveness.tolerance_ms);
    let short = r#"{"liveness":{"degraded_after_ms":1500}}"#;
    assert_eq!(tolerance(short).unwrap(), 750);
    let usual = r#"{"liveness":{"degraded_after_ms":600000}}"#;
    assert_eq!(tolerance(usual).unwrap(), 60_000);
    let contradicts = r#"{"liveness":{"degraded_after_ms":1500,"tolerance_ms":751}}"#;
    assert!(tolerance(contradicts).is_err());
}

#[test]
fn flags_win_over_the_charter_file() {
    let folder = tempfile::tempdir().unwrap();
    let charter = Some(r#"{"mode":"observe","origin":"log.example/b"}"#.to_owned());
    let founding = InitOptions {
        mode: Some(Mode::Enforce),
        charter,
        ..founding(folder.path())
    };
    init(&founding, NOW_MS).unwrap();
    let Body::Charter(charter) = charter_of(folder.path()).0.body else {
        panic!("no charter")
    };
    assert_eq!(
        (charter.mode, charter.origin.as_str()),
        (Mode::Enforce, "log.example/a")
    );
}

#[test]
fn a_charter_that_does_not_stand_is_refused_before_anything_is_written() {
    for (text, code) in [
        ("{", Code::NotStrictJson),
        (
            "{\"mode\":\"enforce\",\"mode\":\"observe\"}",
            Code::NotStrictJson,
        ),
        ("[]", Code::Malformed),
        ("{\"livenes\":{}}", Code::UnknownMember),
        ("{\"liveness\":{\"pulse\":1}}", Code::UnknownMember),
        ("{\"mode\":\"strict\"}", Code::Malformed),
        ("{\"thresholds\":{\"root\":2}}", Code::CharterInvalid),
        ("{\"keys\":[]}", Code::KeyUnknown),
        ("{\"rules\":2}", Code::CharterInvalid),
        ("{\"version\":2}", Code::CharterVersion),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let charter = Some(text.to_owned());
        let refused = init(
            &InitOptions {
                charter,
                ..founding(&data)
            },
            NOW_MS,
        );
        match refused {
            Err(InitError::Charter(refusal)) => assert_eq!(refusal.code, code, "{text}: {refusal}"),
            other => panic!("{text}: {other:?}"),
        }
        assert!(!data.exists(), "{text}");
    }
}

#[test]
fn an_origin_that_no_key_can_have_is_refused() {
    for origin in ["", "a b", "a+b", "a\nb"] {
        let folder = tempfile::tempdir().unwrap();
        let origin = origin.to_owned();
        let refused = init(
            &InitOptions {
                origin,
                ..founding(folder.path())
            },
            NOW_MS,
        );
        assert!(matches!(refused, Err(InitError::Origin(_))), "{refused:?}");
    }
}

#[test]
fn a_new_log_is_served_at_once() {
    let folder = tempfile::tempdir().unwrap();
    init(&founding(folder.path()), NOW_MS).unwrap();
    let key_folder = default_keys(folder.path());
    let log = keys::read(&KeyFile::Log.path(&key_folder)).unwrap();
    let keys = LogKeys {
        log: SigningKey::new(KeyName::parse("log.example/a").unwrap(), &log.seed()),
        control: keys::read(&KeyFile::Control.path(&key_folder)).unwrap(),
    };
    let store = ENGINE.open(&store_path(folder.path())).unwrap();
    let options = crate::log::Options {
        accept_clock_jump: true,
        ..Default::default()
    };
    let (log, sequencer) = crate::log::Log::open(store, keys, options).unwrap();
    log.stop();
    sequencer.join().unwrap();
    assert_eq!(
        log.published().state.charter_hash(),
        Some(charter_of_published(&log))
    );
}

fn charter_of_published(log: &crate::log::Log) -> RecordHash {
    let leaf = log
        .published()
        .leaf(tlog::LeafIndex::new(0))
        .unwrap()
        .unwrap();
    Leaf::parse(&leaf).unwrap().envelope().record_hash()
}
