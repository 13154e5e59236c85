//! What to look at when the application answers nothing at all.

use super::stage::Stage;

/// What must be true for an answer to come, with what was seen of it.
pub(crate) async fn explain(stage: &Stage<'_>) -> String {
    let arguments = stage.arguments;
    let key = match &arguments.key_file {
        _ if arguments.bearer => "none: it shows a token of its issuer, which it can reach".to_owned(),
        Some(file) => format!("the one in {}", file.display()),
        None => "`verify-source`".to_owned(),
    };
    let mut lines = vec![format!(
        "Not one request came for the export. Look at the application's log, and at its settings:\n\
         1. It runs, and reads the topic `{topic}` at the brokers {brokers}{group}.\n\
         2. It takes records whose header `application` is `{application}`; others it passes over.\n\
         3. It sends its answers to http://{listen} instead of the platform's internal API: \
         POST http://{listen}/app/export/v1/EXPORT/{application}/RESOURCE/upload.\n\
         4. Its key is {key}.\n\
         5. That address can be reached from where it runs: in a container, 127.0.0.1 is the container itself; \
         see --listen.",
        topic = arguments.topic,
        brokers = arguments.brokers,
        group = arguments.group.as_ref().map(|group| format!(" in the group `{group}`")).unwrap_or_default(),
        application = arguments.application,
        listen = arguments.listen,
    )];
    if let Some(members) = stage.kafka.members().await {
        lines.push(match members {
            0 => "Seen: the group has no member. The application does not run, or reads from other brokers or \
                  with another group: point 1."
                .to_owned(),
            count => format!(
                "Seen: the group has {count} member(s), so something reads with it: points 2 to 5. (Is it the \
                 application that was started for this, or another one in the same group?)"
            ),
        });
    }
    let strays = stage.ledger.look(|state| state.strays.clone());
    match strays.first() {
        None => lines.push("Seen: nothing called the internal API: points 1 to 3 and 5.".to_owned()),
        Some(stray) => lines.push(format!(
            "Seen: {} other call(s) to the internal API, the first: {}.",
            strays.len(),
            stray.what
        )),
    }
    lines.join("\n")
}
