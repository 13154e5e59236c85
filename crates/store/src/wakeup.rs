//! Waking the dispatcher when there is something to send.
//!
//! A `NOTIFY` inside the creating transaction would take a lock that serialises commits across the whole
//! cluster; so it is sent afterwards, on a connection of its own, one for many. A lost wake-up costs
//! nothing but time: the dispatcher polls as well.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::Duration,
};

use diesel::{PgConnection, connection::SimpleConnection as _};
use tokio::sync::Notify;

use crate::{connection::open, pool::Store};

const CHANNEL: &str = "outbox";

/// How long the listener sleeps between looks at its socket; a look is one system call.
const LISTEN_EVERY: Duration = Duration::from_millis(3);

/// How long the sender waits for others to join after it has sent: more often than the listener looks
/// would be in vain.
const GATHER_FOR: Duration = LISTEN_EVERY;

/// How long both wait before they connect again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Tells the dispatchers that there is something to send. Clones share one connection.
#[derive(Clone, Debug)]
pub struct WakeupSender(SyncSender<()>);

/// Listens for wake-ups until it is dropped.
#[derive(Debug)]
pub struct WakeupListener {
    stopped: Arc<AtomicBool>,
}

impl Store {
    /// Opens the sending side: a thread with a connection of its own, which ends with the last clone.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn wakeup_sender(&self) -> std::io::Result<WakeupSender> {
        // Room for one: a wake-up asked for while another is on its way joins the next.
        let (sender, receiver) = sync_channel(1);
        let settings = Arc::clone(&self.settings);
        thread::Builder::new().name("wakeup-sender".to_owned()).spawn(move || {
            send_loop(&receiver, || open(&settings).ok());
        })?;
        Ok(WakeupSender(sender))
    }

    /// Opens the listening side: a thread with a connection of its own, which ends when the listener is
    /// dropped. `woken` is notified at each wake-up, and each time the connection is made anew.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn wakeup_listener(&self, woken: Arc<Notify>) -> std::io::Result<WakeupListener> {
        let stopped = Arc::new(AtomicBool::new(false));
        let (listener, settings) =
            (WakeupListener { stopped: Arc::clone(&stopped) }, Arc::clone(&self.settings));
        thread::Builder::new().name("wakeup-listener".to_owned()).spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                if let Ok(mut connection) = open(&settings) {
                    listen_loop(&mut connection, &woken, &stopped);
                }
                thread::sleep(RECONNECT_AFTER);
            }
        })?;
        Ok(listener)
    }
}

impl WakeupSender {
    /// Asks for a wake-up; never waits. It is sent soon, together with others asked for meanwhile.
    pub fn wake(&self) {
        match self.0.try_send(()) {
            Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
        }
    }
}

impl Drop for WakeupListener {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

fn send_loop(wanted: &Receiver<()>, connect: impl Fn() -> Option<PgConnection>) {
    let mut connection = None;
    while wanted.recv().is_ok() {
        // A connection that has idled may have been closed meanwhile: then a new one is tried at once.
        connection = connection.take().and_then(notify).or_else(|| connect().and_then(notify));
        // Without one the wake-up is lost; the dispatcher polls meanwhile.
        thread::sleep(if connection.is_some() { GATHER_FOR } else { RECONNECT_AFTER });
    }
}

/// Sends a notification and returns the connection, unless it is broken.
fn notify(mut connection: PgConnection) -> Option<PgConnection> {
    connection.batch_execute(&format!("NOTIFY {CHANNEL}")).is_ok().then_some(connection)
}

/// Returns when the connection is lost or listening is to end.
fn listen_loop(connection: &mut PgConnection, woken: &Notify, stopped: &AtomicBool) {
    if connection.batch_execute(&format!("LISTEN {CHANNEL}")).is_err() {
        return;
    }
    // What was written while nobody listened has to be looked for.
    let mut notified = true;
    while !stopped.load(Ordering::Relaxed) {
        for notification in connection.notifications_iter() {
            match notification {
                Ok(_) => notified = true,
                Err(_) => return,
            }
        }
        if std::mem::take(&mut notified) {
            woken.notify_one();
        }
        thread::sleep(LISTEN_EVERY);
    }
}
