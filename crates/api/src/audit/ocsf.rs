//! Entries as events of the Open Cybersecurity Schema Framework, for systems that collect such.
//!
//! Signing in and out is Authentication (3002), what concerns a person's account is Account Change (3001), roles
//! are User Access Management (3005), all else is API Activity (6003). What has no place of its own there is whole
//! under `unmapped.creel`, so that an exported line can be checked against its hash.

use creel_domain::{ActResult, ActorKind, OrgId};
use serde_json::{Map, Value, json};

use super::AuditRecord;

/// Of the schema that the events follow.
pub const OCSF_VERSION: &str = "1.3.0";

/// The class of an action, and its activity there.
fn class(record: &AuditRecord) -> (u32, u32) {
    let act = &record.entry.act;
    match act.action.as_str() {
        "sign_in" => (3002, 1),
        "sign_out" | "session.end" | "session.end_all" => (3002, 2),
        "invitation.accept" => (3001, 1),
        "password.change" => (3001, 3),
        "password.reset" => (3001, 4),
        "member.remove" | "member.leave" => (3001, 6),
        "second_factor.enable" | "passkey.add" => (3001, 10),
        "second_factor.disable" | "passkey.remove" => (3001, 11),
        "member.role" => (3005, 1),
        "request" => (6003, method(&act.target)),
        action => (6003, verb(action)),
    }
}

fn verb(action: &str) -> u32 {
    match action.rsplit('.').next().unwrap_or_default() {
        "create" | "add" | "mkdir" | "run" | "build" => 1,
        "show" | "list" | "export" => 2,
        "delete" | "remove" | "revoke" | "forget" => 4,
        _ => 3,
    }
}

fn method(route: &str) -> u32 {
    match route.split(' ').next().unwrap_or_default() {
        "POST" => 1,
        "GET" => 2,
        "DELETE" => 4,
        _ => 3,
    }
}

/// The entry as one event.
pub fn ocsf(org: OrgId, record: &AuditRecord) -> Value {
    let (class, activity) = class(record);
    let (actor, act) = (&record.entry.actor, &record.entry.act);
    let refused = act.result == ActResult::Refused;
    let mut event = json!({
        "category_uid": class / 1000,
        "class_uid": class,
        "activity_id": activity,
        "type_uid": class * 100 + activity,
        "severity_id": if refused { 2 } else { 1 },
        "status_id": if refused { 2 } else { 1 },
        "time": record.entry.at.as_millisecond(),
        "count": act.repeats,
        "message": act.action,
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "Creel", "vendor_name": "Creel"},
            "uid": format!("{org}/{}", record.entry.sequence),
            "tenant_uid": org,
            "sequence": record.entry.sequence,
        },
        "actor": who(actor.kind, &actor.id, &actor.name),
        "src_endpoint": if actor.address.is_empty() { json!({"name": "creel"}) } else { json!({"ip": actor.address}) },
        "unmapped": {"creel": record},
    });
    let Some(fields) = event.as_object_mut() else {
        return event;
    };
    if refused {
        fields.insert("status_detail".to_owned(), json!(actor.rule));
    }
    match class {
        6003 => application(fields, record),
        _ => identity(fields, class, record),
    }
    event
}

fn who(kind: ActorKind, id: &str, name: &str) -> Value {
    let type_id = match kind {
        ActorKind::User => 1,
        ActorKind::Operator => 2,
        ActorKind::Platform => 3,
        ActorKind::Anonymous => 0,
    };
    let mut user = json!({"type_id": type_id, "name": if name.is_empty() { kind.as_str() } else { name }});
    if !id.is_empty() {
        user["uid"] = json!(id);
    }
    json!({"user": user})
}

fn application(fields: &mut Map<String, Value>, record: &AuditRecord) {
    let (actor, act) = (&record.entry.actor, &record.entry.act);
    let mut api = json!({"operation": act.action, "service": {"name": "creel"}});
    if !actor.request.is_empty() {
        api["request"] = json!({"uid": actor.request});
    }
    fields.insert("api".to_owned(), api);
    if !act.target_kind.is_empty() {
        let resource = json!({"type": act.target_kind, "uid": act.target, "name": act.target_name});
        fields.insert("resources".to_owned(), json!([resource]));
    }
}

fn identity(fields: &mut Map<String, Value>, class: u32, record: &AuditRecord) {
    let (actor, act) = (&record.entry.actor, &record.entry.act);
    let user = if act.target_kind == "user" {
        who(ActorKind::User, &act.target, &act.target_name)
    } else {
        who(actor.kind, &actor.id, &actor.name)
    };
    fields.insert("user".to_owned(), user["user"].clone());
    if class == 3002 {
        fields.insert("service".to_owned(), json!({"name": "creel"}));
    }
    if let (3005, Some(role)) = (class, act.details.get("to")) {
        fields.insert("privileges".to_owned(), json!([role]));
    }
}

#[cfg(test)]
mod tests {
    use creel_domain::{Act, Actor, AuditEntry, UserId};
    use jiff::Timestamp;

    use super::*;

    fn event(act: Act) -> Value {
        let user: UserId = "usr_00000000000000000000000007".parse().expect("an id");
        let org: OrgId = "org_00000000000000000000000001".parse().expect("an id");
        let actor = Actor {
            address: "192.0.2.7".to_owned(),
            request: "r1".to_owned(),
            rule: "tokens:write".to_owned(),
            ..Actor::user(user, "ann")
        };
        let at = Timestamp::from_second(1_800_000_000).expect("in range");
        let record = AuditRecord {
            entry: AuditEntry::new(3, at, actor, act),
            previous: "00".repeat(32),
            hash: "11".repeat(32),
        };
        ocsf(org, &record)
    }

    #[test]
    fn each_class_has_what_the_schema_requires() {
        for (act, class, activity, fields) in [
            (
                Act::new("token.create").on("token", "tok_1").named("ci"),
                6003,
                1,
                &["api", "resources", "actor", "src_endpoint"][..],
            ),
            (
                Act::new("agent.delete"),
                6003,
                4,
                &["api", "actor", "src_endpoint"],
            ),
            (
                Act::new("request").on("route", "GET /v1/audit").refused(),
                6003,
                2,
                &["status_detail"],
            ),
            (
                Act::new("sign_in").on("user", "usr_1"),
                3002,
                1,
                &["user", "service"],
            ),
            (Act::new("password.reset").on("user", "usr_1"), 3001, 4, &["user"]),
            (
                Act::new("member.role").on("user", "usr_1").with("to", "admin"),
                3005,
                1,
                &["user", "privileges"],
            ),
        ] {
            let event = event(act);
            assert_eq!(event["class_uid"], class, "{event}");
            assert_eq!(event["type_uid"], class * 100 + activity, "{event}");
            let common = ["category_uid", "activity_id", "severity_id", "time", "metadata"];
            for field in common.iter().chain(fields) {
                assert!(!event[field].is_null(), "{field} in {event}");
            }
            assert_eq!(event["metadata"]["product"]["vendor_name"], "Creel");
            assert_eq!(event["time"], 1_800_000_000_000_i64);
        }
    }
}
