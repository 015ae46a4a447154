//! The wall in the database: it stands on every table, and holds where a statement forgets its filter.

use crate::world::{World, session};

/// Everything that a tenant has, in two orgs.
async fn two_orgs() -> (World, creel_domain::OrgId) {
    let world = World::new().await;
    let platform = world.store.platform();
    let (other, _) = platform.create_org("other".into()).await.expect("made");
    for org in [world.org, other] {
        let org = world.store.org(org);
        let agent = org
            .create_agent(crate::world::new_agent("scout"))
            .await
            .expect("made");
        org.begin_turn(agent.id, session(), "hello".into())
            .await
            .expect("accepted");
    }
    (world, other)
}

/// What psql says to `sql` in a transaction of the store's own role, for `org` if one is set.
fn as_tenant(world: &World, org: Option<creel_domain::OrgId>, sql: &str) -> String {
    let role = format!("creel_{}_tenant", world.engine.0.name());
    let org = org.map_or(String::new(), |org| {
        format!("SELECT set_config('creel.org', '{}', true) <> '';", org.uuid())
    });
    world
        .engine
        .0
        .ask(&format!("BEGIN; SET LOCAL ROLE {role}; {org} {sql}; COMMIT"))
}

#[tokio::test]
async fn every_table_with_an_org_has_a_forced_policy_and_its_role_cannot_pass_it() {
    let world = World::new().await;
    let ask = |sql: &str| world.engine.0.ask(sql);
    let tables = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'creel'
                  WHERE c.relkind IN ('r', 'p')";
    let with_org = "(c.relname = 'orgs' OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid
                    AND a.attname = 'org_id' AND NOT a.attisdropped))";
    let walled: usize = ask(&format!("SELECT count(*) FROM {tables} AND {with_org}"))
        .parse()
        .expect("a number");
    assert!(walled >= 11, "the catalogue is not what it was: {walled}");
    let open = format!(
        "SELECT c.relname FROM {tables} AND {with_org} AND NOT (c.relrowsecurity AND c.relforcerowsecurity
         AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant'
                     AND pg_get_expr(p.polqual, c.oid) LIKE '%creel.org%'))"
    );
    assert_eq!(ask(&open), "", "tables without a wall");
    // Whatever a tenant's transaction may touch is behind the wall.
    let reachable = |rights: &str| {
        ask(&format!(
            "SELECT c.relname FROM {tables} AND NOT {with_org}
             AND has_table_privilege('creel_{}_tenant', c.oid, '{rights}')",
            world.engine.0.name()
        ))
    };
    // A new agent takes one of the sandboxes that are nobody's: of other orgs nothing is to be seen there.
    assert_eq!(
        reachable("SELECT, DELETE"),
        "spares",
        "tables without an org that a tenant may touch"
    );
    assert_eq!(reachable("INSERT, UPDATE, TRUNCATE, REFERENCES, TRIGGER"), "");
    let roles = "SELECT count(*) FROM pg_roles r WHERE rolname LIKE 'creel\\_%' AND
                 (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole
                  OR EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid))";
    assert_eq!(ask(roles), "0", "a role that can pass the wall");
    let collations = "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_collation l ON l.oid = a.attcollation
         JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = 'creel'
         WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND l.collname <> 'C'";
    assert_eq!(ask(collations), "", "texts that do not sort by their bytes");
}

#[tokio::test]
async fn a_forgotten_filter_sees_and_touches_nothing_of_another_org() {
    let (world, other) = two_orgs().await;
    let (one, two) = (Some(world.org), Some(other));
    for table in ["orgs", "users", "agents", "turns", "events"] {
        let all = world.engine.0.ask(&format!("SELECT count(*) FROM {table}"));
        let seen = |org| as_tenant(&world, org, &format!("SELECT count(*) FROM {table}"));
        assert_eq!(seen(None), "0", "{table}: nobody's transaction sees nothing");
        let (first, second) = (seen(one), seen(two));
        let sum = |text: &str| text.trim_start_matches("t\n").parse::<u32>().expect("a number");
        assert!(sum(&first) > 0 && sum(&second) > 0, "{table}");
        assert_eq!((sum(&first) + sum(&second)).to_string(), all, "{table}");
    }
    as_tenant(
        &world,
        two,
        "UPDATE agents SET name = 'stolen'; DELETE FROM turns; DELETE FROM events",
    );
    assert_eq!(
        world.org().agents(None, 9).await.expect("a list")[0]
            .name
            .as_str(),
        "scout"
    );
    let left = world.store.platform().running_turns().await.expect("a list");
    assert_eq!(left.iter().map(|turn| turn.org).collect::<Vec<_>>(), [world.org]);
    assert_eq!(world.org().events(0, 9).await.expect("events").len(), 2);
    // A row cannot be made for, or moved to, another org.
    for sql in [
        format!(
            "INSERT INTO events VALUES ('{}', 99, 'forged', '', '{{}}', 0)",
            world.org.uuid()
        ),
        format!("UPDATE agents SET org_id = '{}'", world.org.uuid()),
    ] {
        let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| as_tenant(&world, two, &sql)));
        let said = refused.expect_err("refused");
        let said = said.downcast_ref::<String>().expect("a text");
        assert!(said.contains("row-level security"), "{said}");
    }
}

#[tokio::test]
async fn without_the_platforms_role_the_owner_of_the_tables_sees_nothing_either() {
    let (world, _) = two_orgs().await;
    let platform = format!("creel_{}_platform", world.engine.0.name());
    let count = |role: &str, before: &str| {
        let sql = format!("BEGIN; SET LOCAL ROLE {role}; {before} SELECT count(*) FROM turns; COMMIT");
        world.engine.0.ask(&sql)
    };
    assert_eq!(count(&platform, ""), "2");
    world.engine.0.ask(&format!("REVOKE {platform} FROM creel"));
    assert_eq!(count("creel", ""), "0", "FORCE holds the owner");
    assert_eq!(
        count("creel", "SET LOCAL creel.maintenance = 'on';"),
        "2",
        "migrations see all"
    );
    // The platform's role does what is listed and no more.
    let sql = format!("BEGIN; SET LOCAL ROLE {platform}; DELETE FROM turns; COMMIT");
    let refused = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.engine.0.ask(&sql)));
    assert!(
        refused
            .expect_err("refused")
            .downcast_ref::<String>()
            .expect("a text")
            .contains("permission denied")
    );
}
