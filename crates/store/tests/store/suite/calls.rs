//! The ledger: exact sums, the unknown counted and never guessed, nothing left open.

use crate::world::World;
use creel_daemon::mint;
use creel_domain::{Agent, CallId, MicroUsd};
use creel_store::{CallResult, Error, NewCall, UsageBy, UsageSum};
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

fn call(world: &World, agent: &Agent, model: &str, at: Timestamp) -> NewCall {
    NewCall {
        id: mint::<CallId>(&*world.clock),
        org: world.org,
        agent: agent.id,
        turn: None,
        provider: "demo".into(),
        model: model.parse().expect("a model"),
        started_at: at,
        key_of: None,
    }
}

fn result(tokens: Option<(u64, u64, u64)>, cost: Option<i64>) -> CallResult {
    CallResult {
        outcome: "completed".into(),
        tokens,
        cost: cost.map(MicroUsd),
        duration_ms: 12,
    }
}

const FROM: Timestamp = Timestamp::UNIX_EPOCH;

async fn total(world: &World) -> UsageSum {
    world
        .org()
        .usage_total(FROM, Timestamp::MAX, None)
        .await
        .expect("a sum")
}

#[tokio::test]
async fn a_call_is_counted_when_it_ends_and_as_it_first_ended() {
    let world = World::new().await;
    let (agent, platform) = (world.agent("scout").await, world.store.platform());
    let open = call(&world, &agent, "demo/demo", world.now());
    platform.begin_call(open.clone()).await.expect("opened");
    assert_eq!(total(&world).await.calls, 0, "nothing is known of it yet");
    platform
        .finish_call(open.id, result(Some((10, 4, 3)), Some(7)))
        .await
        .expect("closed");
    platform
        .finish_call(open.id, result(Some((99, 0, 99)), Some(99)))
        .await
        .expect("no effect");
    assert_eq!(platform.interrupt_open_calls().await.expect("none"), 0);
    let expected = UsageSum {
        calls: 1,
        input_tokens: 10,
        cached_input_tokens: 4,
        output_tokens: 3,
        cost: MicroUsd(7),
        ..UsageSum::default()
    };
    assert_eq!(total(&world).await, expected);
}

#[tokio::test]
async fn calls_of_a_dead_process_are_interrupted_and_unknown() {
    let mut world = World::new().await;
    let agent = world.agent("scout").await;
    let open = call(&world, &agent, "demo/demo", world.now());
    world
        .store
        .platform()
        .begin_call(open.clone())
        .await
        .expect("opened");
    world.reopen().await;
    let platform = world.store.platform();
    assert_eq!(platform.interrupt_open_calls().await.expect("closed"), 1);
    platform
        .finish_call(open.id, result(Some((1, 1, 1)), None))
        .await
        .expect("too late");
    let sum = total(&world).await;
    assert_eq!((sum.calls, sum.calls_without_usage, sum.input_tokens), (1, 1, 0));
}

#[tokio::test]
async fn a_call_needs_an_agent_of_the_org() {
    let world = World::new().await;
    let agent = world.agent("scout").await;
    let other = world
        .store
        .platform()
        .create_org("other".into())
        .await
        .expect("made")
        .0;
    let foreign = NewCall {
        org: other,
        ..call(&world, &agent, "demo/demo", world.now())
    };
    let refused = world.store.platform().begin_call(foreign).await;
    assert!(matches!(refused, Err(Error::NotFound("agent"))));
}

#[tokio::test]
async fn sums_are_grouped_by_agent_model_and_utc_day() {
    let world = World::new().await;
    let (one, two) = (world.agent("one").await, world.agent("two").await);
    let midnight = Timestamp::from_second(20_000 * 86_400).expect("in range");
    let platform = world.store.platform();
    for (agent, model, at) in [
        (&one, "demo/a", midnight - SignedDuration::from_micros(1)),
        (&one, "demo/b", midnight),
        (&two, "demo/b", midnight + SignedDuration::from_hours(23)),
    ] {
        let call = call(&world, agent, model, at);
        platform.begin_call(call.clone()).await.expect("opened");
        platform
            .finish_call(call.id, result(Some((1, 0, 1)), Some(1)))
            .await
            .expect("closed");
    }
    let sums = async |agent, by| {
        let sums = world
            .org()
            .usage(FROM, Timestamp::MAX, agent, by)
            .await
            .expect("sums");
        sums.into_iter()
            .map(|sum| (sum.key, sum.calls))
            .collect::<Vec<_>>()
    };
    let day = |text: &str, calls| (text.to_owned(), calls);
    assert_eq!(
        sums(None, UsageBy::Day).await,
        [day("2024-10-03", 1), day("2024-10-04", 2)]
    );
    assert_eq!(
        sums(None, UsageBy::Model).await,
        [day("demo/a", 1), day("demo/b", 2)]
    );
    assert_eq!(
        sums(None, UsageBy::Agent).await,
        [(one.id.to_string(), 2), (two.id.to_string(), 1)]
    );
    assert_eq!(sums(Some(two.id), UsageBy::Model).await, [day("demo/b", 1)]);
    let none = world
        .org()
        .usage_total(FROM, midnight - SignedDuration::from_secs(1), None)
        .await;
    assert_eq!(none.expect("a sum"), UsageSum::default());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever is reported or not, the sums are those of the calls, counted by hand.
    #[test]
    fn the_ledger_equals_what_was_reported(
        calls in prop::collection::vec(
            (prop::option::of((0..1_u64 << 40, 0..1_u64 << 20, 0..1_u64 << 40)), prop::option::of(0..1_i64 << 40)),
            0..12,
        )
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let sum = runtime.block_on(async {
            let world = World::new().await;
            let agent = world.agent("scout").await;
            for (tokens, cost) in &calls {
                let call = call(&world, &agent, "demo/demo", world.now());
                world.store.platform().begin_call(call.clone()).await.expect("opened");
                world.store.platform().finish_call(call.id, result(*tokens, *cost)).await.expect("closed");
            }
            total(&world).await
        });
        let reported = || calls.iter().filter_map(|(tokens, _)| *tokens);
        prop_assert_eq!(sum, UsageSum {
            key: String::new(),
            calls: calls.len() as u64,
            calls_without_usage: calls.iter().filter(|(tokens, _)| tokens.is_none()).count() as u64,
            calls_without_price: calls.iter().filter(|(tokens, cost)| tokens.is_some() && cost.is_none()).count() as u64,
            input_tokens: reported().map(|(input, _, _)| input).sum(),
            cached_input_tokens: reported().map(|(_, cached, _)| cached).sum(),
            output_tokens: reported().map(|(_, _, output)| output).sum(),
            cost: calls.iter().filter_map(|(_, cost)| cost.map(MicroUsd)).sum(),
        });
    }
}

#[tokio::test]
async fn a_call_says_whose_key_it_was_made_with() {
    let world = World::new().await;
    let agent = world.agent("scout").await;
    let call = NewCall {
        key_of: Some(creel_store::KeySource::Platform.as_str()),
        ..call(&world, &agent, "demo/demo", world.now())
    };
    world.store.platform().begin_call(call).await.expect("opened");
    assert_eq!(world.engine.ask("SELECT key_of FROM calls"), "platform");
}
