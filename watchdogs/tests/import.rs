//! Files as the tools write them, and what is read from them.

use ledger::record::{Event, SeenStatus};
use ledger::text::Name;
use watchdogs::alert::{Kind, Notice};
use watchdogs::class::Class;
use watchdogs::import::{Form, ImportError};

const ALERTS: &[u8] =
    include_bytes!("../../tests/samples/alerts/alertmanager-0.25-api-v2-alerts.json");
const FIRING: &[u8] = include_bytes!("../../tests/samples/alerts/alertmanager-0.25-webhook-1.json");
const RESOLVED: &[u8] =
    include_bytes!("../../tests/samples/alerts/alertmanager-0.25-webhook-2.json");

/// 2026-11-29T20:00:00Z
const EIGHT_MS: u64 = 1_795_982_400_000;

fn read(form: Form, bytes: &[u8]) -> Vec<Notice> {
    assert_eq!(Form::of(bytes), Some(form));
    try_read(form, bytes).unwrap()
}

fn try_read(form: Form, bytes: &[u8]) -> Result<Vec<Notice>, ImportError> {
    let source: Name = "s".parse().unwrap();
    form.read(&source, bytes)
}

/// When it opened and closed, in seconds after eight o'clock.
fn span(notice: &Notice) -> (u64, Option<u64>) {
    let after = |ms: u64| (ms - EIGHT_MS) / 1_000;
    (
        after(notice.alert.opened_ms),
        notice.alert.closed_ms.map(after),
    )
}

fn label<'a>(notice: &'a Notice, name: &str) -> &'a str {
    notice.labels.get(name).map_or("", String::as_str)
}

fn event(notice: &Notice) -> (Event, Option<&str>, Option<SeenStatus>) {
    match &notice.alert.kind {
        Kind::Event {
            event,
            call,
            status,
        } => (*event, call.as_ref().map(|it| it.as_str()), *status),
        Kind::Alert => panic!("an alert"),
    }
}

#[test]
fn alertmanager_names_one_firing_alike_wherever_it_speaks_of_it() {
    let firing = read(Form::AlertmanagerWebhook, FIRING);
    let resolved = read(Form::AlertmanagerWebhook, RESOLVED);
    let listed = read(Form::AlertmanagerAlerts, ALERTS);
    for notices in [&firing, &resolved, &listed] {
        let [notice] = notices.as_slice() else {
            panic!("{notices:?}");
        };
        assert_eq!(notice.alert.source_id, firing[0].alert.source_id);
        assert_eq!(notice.alert.monitor, "AgentHeartbeatMissing");
        assert_eq!(notice.alert.severity.as_deref(), Some("page"));
        assert_eq!(label(notice, "instance"), "10.0.0.5:9100");
    }
    assert_eq!(span(&firing[0]), (0, None));
    assert_eq!(span(&resolved[0]), (0, Some(12 * 60 + 48)));
    // `endsAt` there is when it would end if nobody repeated it.
    assert_eq!(span(&listed[0]), (0, None));
    assert_eq!(listed[0].muted, Some(false));
    assert_eq!(firing[0].muted, Some(false), "it was told");
    let silenced =
        String::from_utf8_lossy(ALERTS).replace("\"silencedBy\":[]", "\"silencedBy\":[\"x\"]");
    let silenced = read(Form::AlertmanagerAlerts, silenced.as_bytes());
    assert_eq!(silenced[0].muted, Some(true));
}

#[test]
fn alertmanagers_fingerprint_is_made_where_it_is_not_sent() {
    let text = String::from_utf8_lossy(FIRING);
    let old = text.replace(",\"fingerprint\":\"7244e421ba15e01f\"", "");
    assert_ne!(text, old);
    let (own, made) = (
        read(Form::AlertmanagerWebhook, FIRING),
        read(Form::AlertmanagerWebhook, old.as_bytes()),
    );
    assert_eq!(own[0].alert.source_id, made[0].alert.source_id);
}

#[test]
fn alerts_that_alertmanager_leaves_out_are_a_gap() {
    let text = String::from_utf8_lossy(FIRING);
    let cut = text.replace("\"truncatedAlerts\":0", "\"truncatedAlerts\":3");
    let notices = read(Form::AlertmanagerWebhook, cut.as_bytes());
    let [alert, gap] = notices.as_slice() else {
        panic!("{notices:?}");
    };
    assert_eq!(alert.alert.kind.as_str(), "alert");
    assert_eq!(event(gap), (Event::SourceGap, None, None));
    assert_eq!(gap.alert.monitor, "3 alerts left out of a webhook");
    assert_eq!(span(gap), (0, Some(0)));
    assert_eq!(label(gap, "agent"), "reconciler");
}

#[test]
fn alertmanager_of_another_version_is_refused() {
    let other = String::from_utf8_lossy(FIRING).replace("\"version\":\"4\"", "\"version\":\"5\"");
    assert!(try_read(Form::AlertmanagerWebhook, other.as_bytes()).is_err());
}

#[test]
fn what_stands_in_two_pages_counts_once_and_with_its_end() {
    let both = [FIRING, b"\n", RESOLVED].concat();
    let notices = read(Form::AlertmanagerWebhook, &both);
    assert_eq!(notices.len(), 1);
    assert_eq!(span(&notices[0]), (0, Some(768)));
}

#[test]
fn prometheus_series_become_firings() {
    let eight = EIGHT_MS / 1_000;
    let values = |offsets: &[u64]| {
        let sample = |offset: &u64| format!("[{}.5,\"1\"]", eight + offset);
        offsets.iter().map(sample).collect::<Vec<_>>().join(",")
    };
    let series = |state: &str, offsets: &[u64]| {
        format!(
            r#"{{"metric":{{"__name__":"ALERTS","alertname":"Down","alertstate":"{state}","agent":"a"}},"values":[{}]}}"#,
            values(offsets)
        )
    };
    let answer = format!(
        r#"{{"status":"success","data":{{"resultType":"matrix","result":[{},{}]}}}}"#,
        series("firing", &[0, 60, 120, 300, 360, 600]),
        series(
            "pending",
            &[0, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600]
        )
    );
    let notices = read(Form::PrometheusRange, answer.as_bytes());
    let spans: Vec<_> = notices.iter().map(span).collect();
    assert_eq!(spans, [(0, Some(180)), (300, Some(420)), (600, None)]);
    assert_eq!(label(&notices[0], "agent"), "a");
    let failed =
        br#"{"status":"error","errorType":"bad_data","error":"no","data":{"resultType":"matrix"}}"#;
    assert!(try_read(Form::PrometheusRange, failed).is_err());
}

fn datadog_event(id: &str, at: &str, status: &str, group: &str) -> String {
    format!(
        r#"{{"id":"{id}","type":"event","attributes":{{"timestamp":"2026-11-29T{at}Z","message":"m","tags":["team:x"],
        "attributes":{{"status":"{status}","title":"t","monitor_id":7,"monitor_groups":["{group}"],
        "monitor":{{"id":7,"name":"Agent is stuck"}},"timestamp":1,"tags":["agent:a"]}}}}}}"#
    )
}

#[test]
fn datadogs_events_of_a_monitor_belong_together_by_their_group() {
    let page = |events: &[String]| format!(r#"{{"data":[{}],"meta":{{}}}}"#, events.join(","));
    let one = page(&[
        datadog_event("1", "20:00:00", "error", "host:a"),
        datadog_event("2", "20:01:00", "error", "host:b"),
        datadog_event("3", "20:05:00", "warning", "host:a"),
    ]);
    let two = page(&[
        datadog_event("4", "20:10:00", "success", "host:a"),
        datadog_event("2", "20:01:00", "error", "host:b"),
        datadog_event("5", "20:20:00", "error", "host:a"),
        datadog_event("6", "20:30:00", "success", "host:c"),
    ]);
    // The newest page comes first.
    let notices = read(Form::DatadogEvents, format!("{two}\n{one}").as_bytes());
    let told: Vec<_> = notices
        .iter()
        .map(|it| (it.alert.source_id.as_str(), span(it), label(it, "host")))
        .collect();
    assert_eq!(
        told,
        [
            ("1", (0, Some(600)), "a"),
            ("2", (60, None), "b"),
            ("5", (1_200, None), "a"),
            ("6", (1_800, Some(1_800)), "c"),
        ]
    );
    assert_eq!(label(&notices[0], "agent"), "a");
    assert_eq!(notices[0].alert.monitor, "Agent is stuck");
}

#[test]
fn datadogs_webhook_has_one_name_from_going_off_to_recovering() {
    let body = |transition: &str, at_ms: u64| {
        format!(
            r#"{{"cycle":"c-1","transition":"{transition}","type":"error","monitor":"Agent is stuck","monitor_id":"7",
            "at_ms":"{at_ms}","priority":"P2","tags":"agent:a,monitor","scope":"host:a"}}"#
        )
    };
    for (transition, kind, closed) in [
        ("Triggered", "alert", None),
        ("Re-Triggered", "alert", None),
        ("No Data", "alert", None),
        ("Recovered", "alert", Some(0)),
        ("Imported", "other", Some(0)),
    ] {
        let notices = read(Form::DatadogWebhook, body(transition, EIGHT_MS).as_bytes());
        assert_eq!(span(&notices[0]), (0, closed), "{transition}");
        assert_eq!(notices[0].alert.kind.as_str(), kind, "{transition}");
        assert_eq!(notices[0].alert.source_id.as_str(), "c-1");
        assert_eq!(label(&notices[0], "agent"), "a");
    }
}

#[test]
fn datadogs_webhooks_of_one_cycle_are_one_alert() {
    let body = |transition: &str, after_s: u64| {
        let at_ms = EIGHT_MS + after_s * 1_000;
        format!(
            r#"{{"cycle":"c-1","transition":"{transition}","type":"error","monitor":"m","at_ms":{at_ms}}}"#
        )
    };
    let bodies = [
        body("Triggered", 0),
        body("Re-Triggered", 60),
        body("Recovered", 90),
        body("Recovered", 95),
    ];
    let notices = read(Form::DatadogWebhook, bodies.join("\n").as_bytes());
    assert_eq!(
        notices.iter().map(span).collect::<Vec<_>>(),
        [(0, Some(90))]
    );
    assert!(notices[0].by_name && notices[0].muted.is_none());
}

#[test]
fn pagerduty_tells_of_incidents() {
    let incident = |status: &str| {
        format!(
            r#"{{"id":"PT4KHLK","type":"incident","title":"Agent is silent","status":"{status}","urgency":"high",
            "created_at":"2026-11-29T20:00:00Z","last_status_change_at":"2026-11-29T21:05:00+01:00",
            "service":{{"id":"PF9","summary":"payments"}},"priority":null}}"#
        )
    };
    let page = format!(r#"{{"incidents":[{}],"more":false}}"#, incident("resolved"));
    let notices = read(Form::PagerdutyIncidents, page.as_bytes());
    assert_eq!(span(&notices[0]), (0, Some(300)));
    let page = format!(r#"{{"incidents":[{}]}}"#, incident("acknowledged"));
    assert_eq!(
        span(&read(Form::PagerdutyIncidents, page.as_bytes())[0]),
        (0, None)
    );
    let webhook = |event_type: &str| {
        format!(
            r#"{{"event":{{"id":"e","event_type":"{event_type}","resource_type":"incident",
            "occurred_at":"2026-11-29T20:07:00.5Z","data":{}}}}}"#,
            incident("triggered")
        )
    };
    for (event_type, closed) in [
        ("incident.triggered", Some(None)),
        ("incident.resolved", Some(Some(420))),
        ("incident.priority_updated", None),
        ("pagey.ping", None),
    ] {
        let notices = read(Form::PagerdutyWebhook, webhook(event_type).as_bytes());
        let told = notices.first().map(|notice| span(notice).1);
        assert_eq!(told, closed, "{event_type}");
    }
    let notices = read(
        Form::PagerdutyWebhook,
        webhook("incident.resolved").as_bytes(),
    );
    assert_eq!(notices[0].alert.source_id.as_str(), "PT4KHLK");
    assert_eq!(label(&notices[0], "service"), "payments");
}

#[test]
fn langsmiths_runs_are_no_alerts() {
    let runs = r#"{"runs":[
        {"id":"r1","run_type":"tool","name":"pay","start_time":"2026-11-29T20:00:00","end_time":"2026-11-29T20:00:05.5",
         "error":"bank refused","parent_run_id":"r3","extra":{"metadata":{"thread_id":"t-1","tool_call_id":"call_1"}}},
        {"id":"r2","run_type":"llm","name":"m","start_time":"2026-11-29T20:00:00","parent_run_id":"r3"},
        {"id":"r3","run_type":"chain","name":"payer","start_time":"2026-11-29T20:00:00Z","status":"pending","tags":["x"]}]}"#;
    let notices = read(Form::LangsmithRuns, runs.as_bytes());
    assert_eq!(notices.len(), 2);
    assert_eq!(
        event(&notices[0]),
        (Event::ToolEnded, Some("call_1"), Some(SeenStatus::Error))
    );
    assert_eq!(span(&notices[0]), (0, Some(5)));
    assert_eq!(label(&notices[0], "metadata.thread_id"), "t-1");
    assert_eq!(event(&notices[1]), (Event::AgentRan, None, None));
    let one_a_line = r#"{"id":"r1","run_type":"tool","name":"a","start_time":"2026-11-29T20:00:00"}
        {"id":"r2","run_type":"tool","name":"b","start_time":"2026-11-29T20:00:01"}"#;
    assert_eq!(read(Form::LangsmithRuns, one_a_line.as_bytes()).len(), 2);
}

#[test]
fn langsmiths_alert_opens_and_nobody_says_when_it_closed() {
    let body = r#"{"project_name":"p","alert_rule_id":"a1","alert_rule_name":"errors","alert_rule_type":"threshold",
        "triggered_metric_value":3,"triggered_threshold":1,"timestamp":"2026-11-29T20:00:00+00:00"}"#;
    let notices = read(Form::LangsmithWebhook, body.as_bytes());
    assert_eq!(span(&notices[0]), (0, None));
    assert_eq!(label(&notices[0], "project_name"), "p");
}

/// A history in either spelling.
fn temporal(spell: impl Fn(&str, &str) -> String) -> String {
    let event = |id: u64, at: &str, kind: &str, attributes: &str| {
        let kind = spell("EVENT_TYPE_", kind);
        format!(
            r#"{{"eventId":"{id}","eventTime":"2026-11-29T{at}Z","eventType":"{kind}","xEventAttributes":{{{attributes}}}}}"#
        )
    };
    let heartbeat = spell("TIMEOUT_TYPE_", "Heartbeat");
    let timeout = format!(r#"{{"timeoutFailureInfo":{{"timeoutType":"{heartbeat}"}}}}"#);
    let events = [
        event(
            1,
            "20:00:00",
            "WorkflowExecutionStarted",
            r#""workflowId":"w","workflowType":{"name":"Pay"},"originalExecutionRunId":"run-1""#,
        ),
        event(
            5,
            "20:00:01",
            "ActivityTaskScheduled",
            r#""activityId":"5","activityType":{"name":"Wire"}"#,
        ),
        event(
            6,
            "20:00:02",
            "ActivityTaskStarted",
            &format!(r#""scheduledEventId":"5","attempt":2,"lastFailure":{timeout}"#),
        ),
        event(
            7,
            "20:00:09",
            "ActivityTaskCompleted",
            r#""scheduledEventId":"5","startedEventId":"6""#,
        ),
        event(
            8,
            "20:01:00",
            "ActivityTaskTimedOut",
            &format!(r#""scheduledEventId":"5","failure":{timeout}"#),
        ),
    ];
    format!(r#"{{"events":[{}]}}"#, events.join(","))
}

#[test]
fn temporals_history_reads_alike_in_both_spellings() {
    let short = temporal(|_, word| word.to_owned());
    let long = temporal(|prefix, word| {
        let upper = |out: String, c: char| match c {
            'A'..='Z' if !out.is_empty() => format!("{out}_{c}"),
            c => format!("{out}{}", c.to_ascii_uppercase()),
        };
        format!("{prefix}{}", word.chars().fold(String::new(), upper))
    });
    assert!(
        long.contains("EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT")
            && long.contains("TIMEOUT_TYPE_HEARTBEAT")
    );
    let notices = read(Form::TemporalHistory, short.as_bytes());
    assert_eq!(read(Form::TemporalHistory, long.as_bytes()), notices);
    let monitors: Vec<&str> = notices.iter().map(|it| it.alert.monitor.as_str()).collect();
    let expected = [
        "activity time-out, retried: heartbeat",
        "Wire",
        "ActivityTaskTimedOut",
    ];
    assert_eq!(monitors, expected);
    assert_eq!(
        event(&notices[1]),
        (Event::ToolEnded, Some("5"), Some(SeenStatus::Ok))
    );
    assert_eq!(span(&notices[1]), (2, Some(9)));
    for notice in &notices {
        assert_eq!(label(notice, "workflow_id"), "w");
        assert_eq!(label(notice, "activity_type"), "Wire");
    }
    assert_eq!(label(&notices[2], "timeout_type"), "heartbeat");
    assert_eq!(notices[2].alert.source_id.as_str(), "run-1/8");
}

#[test]
fn temporals_pending_activities_show_what_was_retried() {
    let described = r#"{"workflowExecutionInfo":{"execution":{"workflowId":"w","runId":"run-1"},"type":{"name":"Pay"}},
        "pendingActivities":[
        {"activityId":"5","activityType":{"name":"Wire"},"state":"PENDING_ACTIVITY_STATE_STARTED","attempt":3,
         "lastStartedTime":"2026-11-29T20:02:00Z",
         "lastFailure":{"message":"activity Heartbeat timeout","timeoutFailureInfo":{"timeoutType":"TIMEOUT_TYPE_HEARTBEAT"}}},
        {"activityId":"6","activityType":{"name":"Read"},"attempt":1,"lastStartedTime":"2026-11-29T20:02:00Z"}]}"#;
    let notices = read(Form::TemporalPending, described.as_bytes());
    assert_eq!(notices.len(), 1);
    assert_eq!(span(&notices[0]), (120, None));
    assert_eq!(notices[0].alert.source_id.as_str(), "run-1/5/3");
    assert_eq!(label(&notices[0], "timeout_type"), "heartbeat");
    // Who polls reads of one attempt several times, with other times in it.
    let later = described.replacen("20:02:00Z\",\n", "20:02:30Z\",\n", 1);
    assert_ne!(later, described);
    let both = format!("{described}\n{later}");
    assert_eq!(read(Form::TemporalPending, both.as_bytes()).len(), 1);
}

const TEMPORAL_PENDING: &[u8] =
    include_bytes!("../../tests/samples/alerts/temporal-1.29.1-pending.json");
const TEMPORAL_HISTORY: &[u8] =
    include_bytes!("../../tests/samples/alerts/temporal-1.29.1-history.json");

#[test]
fn what_a_real_server_says_of_a_worker_that_stalled() {
    let pending = read(Form::TemporalPending, TEMPORAL_PENDING);
    let history = read(Form::TemporalHistory, TEMPORAL_HISTORY);
    let at = |notice: &Notice| (notice.alert.opened_ms, notice.alert.closed_ms);
    // A second after the last heartbeat, which is how long it may be silent.
    assert_eq!(at(&pending[0]), (1_796_049_508_394, None));
    let monitor = &pending[0].alert.monitor;
    assert_eq!(monitor, "activity time-out, pending: heartbeat");
    let [retried, ended] = history.as_slice() else {
        panic!("{history:?}");
    };
    let began_ms = 1_796_049_513_258;
    assert_eq!(at(retried), (began_ms, Some(began_ms)));
    assert_eq!(at(ended), (began_ms, Some(1_796_049_517_518)));
    assert_eq!(label(retried, "timeout_type"), "heartbeat");
    for notice in [&pending[0], retried, ended] {
        assert_eq!(label(notice, "workflow_type"), "Books");
        assert_eq!(label(notice, "activity_type"), "reconcile");
    }
}

#[test]
fn a_table_is_read_by_its_first_row_or_by_its_order() {
    let named = "event,ts,agent,detail\nstall,2026-11-29T20:00:00Z,a,\"x, \"\"y\"\"\"\n\nodd thing,2026-11-29T21:00:01+01:00,b c,\n";
    let notices = read(Form::Csv, named.as_bytes());
    let agents: Vec<_> = notices
        .iter()
        .map(|it| it.alert.agent.as_ref().map(Name::as_str))
        .collect();
    assert_eq!(agents, [Some("a"), Some("b+20c")]);
    assert_eq!(
        (notices[0].class, notices[1].class),
        (Some(Class::Stall), None)
    );
    assert_eq!(span(&notices[1]), (1, None));
    assert_eq!(label(&notices[0], "detail"), "x, \"y\"");
    let ordered = "2026-11-29T20:00:00Z,a,silence,id-1,2026-11-29T20:05:00Z,page,\r\n2026-11-29T20:00:00Z,a,restarted\r\n";
    let notices = read(Form::Csv, ordered.as_bytes());
    assert_eq!(notices[0].alert.kind.as_str(), "restarted");
    assert_eq!(span(&notices[0]), (0, Some(0)));
    assert_eq!(notices[1].alert.source_id.as_str(), "id-1");
    assert_eq!(span(&notices[1]), (0, Some(300)));
}

#[test]
fn a_tables_rows_of_opening_and_closing_are_one_alert() {
    let rows = "ts,agent,event,id\n2026-11-29T20:00:00Z,a,alert-opened,7\n2026-11-29T20:01:00Z,a,alert-closed,7\n";
    let notices = read(Form::Csv, rows.as_bytes());
    assert_eq!(notices.len(), 1);
    assert_eq!(span(&notices[0]), (0, Some(60)));
}

#[test]
fn a_name_that_comes_back_is_another_alert_and_a_row_that_stands_twice_is_not() {
    let row = |minute: u64| format!("2026-11-29T20:{minute:02}:00Z,a,silence,down-a\n");
    let rows = [row(0), row(0), row(7), row(9)].concat();
    let notices = read(Form::Csv, rows.as_bytes());
    let opened: Vec<_> = notices.iter().map(|it| span(it).0).collect();
    assert_eq!(opened, [0, 420, 540]);
}

#[test]
fn a_table_that_is_wrong_somewhere_is_refused_with_its_line() {
    for (rows, line) in [
        ("ts,agent,event\n2026-11-29T20:00:00,a,stall\n", "line 2"),
        ("ts,agent,event\n2026-11-29T20:00:00Z,a,\n", "line 2"),
        (
            "ts,agent,event,until\n2026-11-29T20:00:00Z,a,x,2026-11-29T19:00:00Z\n",
            "line 2",
        ),
    ] {
        let error = try_read(Form::Csv, rows.as_bytes()).unwrap_err();
        assert!(error.to_string().starts_with(line), "{error}");
    }
    for other in [
        "ts,agent\n",
        "ts,agent,event,color\n",
        "hello\n",
        "",
        "{\"a\":1}",
        "[1]",
        "nul",
    ] {
        assert_eq!(Form::of(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn hostile_files_are_refused_and_nothing_breaks() {
    let deep = "[".repeat(100_000);
    assert_eq!(Form::of(deep.as_bytes()), None);
    for (form, bytes) in [
        (
            Form::AlertmanagerAlerts,
            r#"[{"labels":{},"startsAt":"x"}]"#,
        ),
        (
            Form::AlertmanagerWebhook,
            r#"{"version":"4","alerts":[{}]}"#,
        ),
        (
            Form::PrometheusRange,
            r#"{"data":{"resultType":"matrix","result":[{"values":[[-1,"1"]]}]}}"#,
        ),
        (
            Form::DatadogEvents,
            r#"{"data":[{"type":"event","attributes":{}}]}"#,
        ),
        (Form::PagerdutyIncidents, r#"{"incidents":[{"id":"x"}]}"#),
        (Form::LangsmithRuns, r#"[{"run_type":"tool","id":"x"}]"#),
        (Form::TemporalHistory, r#"{"events":[{"eventType":"x"}]}"#),
    ] {
        assert!(try_read(form, bytes.as_bytes()).is_err(), "{bytes}");
        let half = &bytes[..bytes.len() - 1];
        assert!(try_read(form, half.as_bytes()).is_err(), "{half}");
    }
}
