//! The internal API of the run: takes posts as the ledger has it, and notes what came.

mod resumable;

use std::{
    any::Any,
    net::{Shutdown, TcpListener, TcpStream},
    os::fd::AsFd as _,
    sync::Arc,
    time::Duration,
};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpResponseBuilder, HttpServer,
    dev::{Extensions, Server},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName},
    },
    rt, web,
};
use uuid::Uuid;

use super::{
    credential::Credential,
    ledger::{Ledger, Stray},
    post::Head,
    receive::{Expected, Pace, receive},
    script::Behaviour,
    target::{Action, Target},
};

/// How late a slow platform answers, once it has read.
const LATE: Duration = Duration::from_secs(2);

/// How long an answer is held at most.
const LONGEST_HOLD: Duration = Duration::from_mins(1);

/// What the server works with.
#[derive(Debug)]
pub(crate) struct InternalApi {
    /// What was asked.
    pub(crate) ledger: Arc<Ledger>,
    /// What the application should show.
    pub(crate) credential: Credential,
    /// How long a body may bring nothing.
    pub(crate) idle_timeout: Duration,
}

/// The server, to be spawned; it ends when its handle is told to stop.
///
/// # Errors
/// When the listener cannot be used.
pub(crate) fn serve(listener: TcpListener, api: InternalApi) -> std::io::Result<Server> {
    let api = web::Data::new(api);
    let server = HttpServer::new(move || App::new().app_data(api.clone()).default_service(web::to(answer)))
        .workers(2)
        .on_connect(keep_connection)
        .disable_signals()
        .shutdown_timeout(0)
        .listen(listener)?;
    Ok(server.run())
}

/// A second handle of a connection, by which a handler can break it.
struct Connection(TcpStream);

fn keep_connection(connection: &dyn Any, data: &mut Extensions) {
    if let Some(stream) = connection.downcast_ref::<rt::net::TcpStream>()
        && let Ok(handle) = stream.as_fd().try_clone_to_owned()
    {
        data.insert(Connection(handle.into()));
    }
}

/// One post that has begun. Should the application break off, the server drops the handler, and this
/// notes the end.
struct Post<'a> {
    ledger: &'a Ledger,
    export_id: Uuid,
    attempt: usize,
    behaviour: Behaviour,
    status: Option<u16>,
}

impl Post<'_> {
    /// How its body is read.
    fn pace(&self) -> Pace {
        match self.behaviour {
            Behaviour::Slow => Pace::Slow,
            Behaviour::Cut => Pace::Cut,
            Behaviour::Platform | Behaviour::Refuse(..) | Behaviour::Hold => Pace::Full,
        }
    }

    /// Does with a post that was read what its script says.
    ///
    /// # Errors
    /// The answer, when that is not the platform's.
    async fn follow_script(self, api: &InternalApi, req: &HttpRequest) -> Result<Self, HttpResponse> {
        match self.behaviour {
            Behaviour::Refuse(status, retry_after) => return Err(self.answer(status, retry_after)),
            Behaviour::Cut => {
                if let Some(Connection(stream)) = req.conn_data() {
                    // It may be broken already.
                    let _ = stream.shutdown(Shutdown::Both);
                }
                return Err(HttpResponse::InternalServerError().finish());
            }
            Behaviour::Slow => tokio::time::sleep(LATE).await,
            Behaviour::Hold => api.ledger.released(self.export_id, LONGEST_HOLD).await,
            Behaviour::Platform => {}
        }
        Ok(self)
    }

    /// Answers, and notes with what.
    fn answer(mut self, status: u16, retry_after: Option<u64>) -> HttpResponse {
        self.status = Some(status);
        if status == 202 {
            return HttpResponse::Accepted().body("payload delivered");
        }
        refuse(status, retry_after)
    }
}

impl Drop for Post<'_> {
    fn drop(&mut self) {
        self.ledger.end(self.export_id, self.attempt, self.status);
    }
}

async fn answer(api: web::Data<InternalApi>, req: HttpRequest, payload: web::Payload) -> HttpResponse {
    if req.method() == Method::GET && req.path().ends_with("/export/v1/ping") {
        return HttpResponse::Ok().body("pong");
    }
    let Some((head, target)) = find(&api, &req) else { return refuse(404, None) };
    match target.action {
        Action::Upload | Action::Report => match begin(&api, head, &target) {
            Some((post, expected)) => meet(&api, &req, payload, post, expected).await,
            None => refuse(404, None),
        },
        Action::Begin | Action::Resume(_) => {
            let call = resumable::Call { api: &api, req: &req, target: &target, head };
            resumable::answer(call, payload).await
        }
    }
}

/// Does with a post what the script of its case says.
async fn meet(
    api: &InternalApi,
    req: &HttpRequest,
    payload: web::Payload,
    post: Post<'_>,
    expected: Expected,
) -> HttpResponse {
    let (ledger, id, attempt) = (&api.ledger, post.export_id, post.attempt);
    let body = receive(payload, post.pace(), api.idle_timeout, expected).await;
    ledger.received(id, attempt, body);
    match post.follow_script(api, req).await {
        Ok(post) => {
            let status = ledger.settle(id, attempt);
            post.answer(status, None)
        }
        Err(response) => response,
    }
}

/// Finds what a request is for; what belongs to no case is noted as such.
fn find(api: &InternalApi, req: &HttpRequest) -> Option<(Head, Target)> {
    let key_in_url = api.credential.is_in_url(req);
    let method = resumable::method(req);
    let target = Target::parse(req.path()).filter(|target| target.action.takes(&method));
    let why = match target {
        None => "is no path of an answer",
        Some(target) => match mismatch(&api.ledger, &target) {
            Some(why) => why,
            None => return Some((head(req, &api.credential, key_in_url), target)),
        },
    };
    let path = api.credential.hide(req.path());
    let path: String = path.chars().filter(|c| !c.is_control()).take(200).collect();
    let ours = api.ledger.look(|state| state.cases.keys().any(|id| path.contains(&id.to_string())));
    api.ledger.note_stray(Stray { what: format!("{method} {path} {why}"), ours, key_in_url });
    None
}

/// Notes the head of a post that begins; None when there were too many.
fn begin<'a>(api: &'a InternalApi, head: Head, target: &Target) -> Option<(Post<'a>, Expected)> {
    let (export_id, gzip) = (target.export_id, head.content_encoding.is_some());
    let (attempt, behaviour, format) = api.ledger.begin(export_id, head)?;
    let post = Post { ledger: &api.ledger, export_id, attempt, behaviour, status: None };
    Some((post, Expected { action: target.action, format, gzip }))
}

/// Why a path does not belong to the case of its export.
fn mismatch(ledger: &Ledger, target: &Target) -> Option<&'static str> {
    ledger.look(|state| match state.cases.get(&target.export_id) {
        None => Some("names an export that was not asked for here"),
        Some(case) if case.request.resource_id != target.resource_id => Some("names another source"),
        Some(case) if case.request.application != target.application => Some("names another application"),
        Some(_) => None,
    })
}

fn head(req: &HttpRequest, credential: &Credential, key_in_url: bool) -> Head {
    let headers = req.headers();
    let encoding =
        header_text(headers, &header::CONTENT_ENCODING).map(|coding| coding.trim().to_ascii_lowercase());
    Head {
        key: credential.sent(headers),
        key_in_url,
        content_type: header_text(headers, &header::CONTENT_TYPE),
        content_encoding: encoding.filter(|coding| !coding.is_empty() && coding != "identity"),
        chunked: headers.contains_key(header::TRANSFER_ENCODING),
        piece: None,
    }
}

fn header_text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn refuse(status: u16, retry_after: Option<u64>) -> HttpResponse {
    let message = match status {
        401 => "invalid x-rh-exports-psk header",
        409 => "the upload goes on at another offset",
        412 => "Tus-Resumable must be 1.0.0",
        423 => "another request is adding to this upload",
        404 => "record not found",
        408 => "the payload arrives too slowly",
        410 => "this resource has already been processed",
        413 => "payload is too large, max size: 500MB",
        503 => "try again",
        _ => "the request is wrong",
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponseBuilder::new(status);
    if let Some(seconds) = retry_after {
        response.insert_header((header::RETRY_AFTER, seconds));
    }
    response.json(serde_json::json!({"message": message, "code": status.as_u16()}))
}
