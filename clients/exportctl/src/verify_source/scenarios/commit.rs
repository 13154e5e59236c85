//! When the application commits its offset, seen in its consumer group.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::verify_source::{
    check::Check,
    report::Finding,
    script::{Behaviour, Script},
    stage::{Stage, Stop, seconds},
};

/// How long an answer is held: longer than Kafka's clients wait between two commits of their own.
const HELD: Duration = Duration::from_secs(6);
/// How soon after the answer the commit must be there.
const COMMITTED_WITHIN: Duration = Duration::from_secs(15);
/// How often the group is looked at.
const LOOK: Duration = Duration::from_millis(250);

const MEND: &str = "Switch off enable.auto.commit (or enable.auto.offset.store) and commit a record's offset \
                    after its answer was taken: what is committed earlier is lost in a crash.";

/// Holds an answer and looks at the committed offset, before and after.
pub(super) async fn commit(stage: &mut Stage<'_>) -> Result<(), Stop> {
    if stage.arguments.group.is_none() {
        stage.note(Check::Commit, Finding::skip("--group does not name the application's consumer group"));
        return Ok(());
    }
    let request = stage.plain(None);
    let id = request.export_id;
    let place = stage.ask_at("an answer that is held", request, Script::first(&[Behaviour::Hold])).await?;
    let received = |state: &super::super::ledger::State| state.cases.get(&id)?.attempts.first()?.received;
    if stage.ledger.wait(stage.limit(), received).await.is_none() {
        stage.note(Check::Commit, Finding::fail(stage.instead(id), MEND));
        return Ok(());
    }
    let early = passes(stage, place.partition, place.offset, HELD).await?;
    stage.ledger.release(id);
    let finding = if early.is_some() {
        Finding::fail("the offset was committed while the answer was under way", MEND)
    } else {
        match passes(stage, place.partition, place.offset, COMMITTED_WITHIN).await? {
            Some(after) => Finding::pass(format!("{} after the answer", seconds(after))),
            None => Finding::fail(
                format!("not committed within {} after the answer", seconds(COMMITTED_WITHIN)),
                "Commit the offset after the answer: after a restart, everything is answered again otherwise. \
                 (Is --group the group that it reads with?)",
            ),
        }
    };
    stage.note(Check::Commit, finding);
    Ok(())
}

/// How long it took until the group's offset was past `offset`; None when it was not within `limit`.
async fn passes(
    stage: &Stage<'_>,
    partition: i32,
    offset: i64,
    limit: Duration,
) -> Result<Option<Duration>, Stop> {
    let began = Instant::now();
    while began.elapsed() < limit {
        if stage.kafka.committed(partition).await?.is_some_and(|next| next > offset) {
            return Ok(Some(began.elapsed()));
        }
        sleep(LOOK).await;
    }
    Ok(None)
}
