//! What is answered before a client sends a body that it was told to wait with (`Expect: 100-continue`, RFC 9110
//! section 10.1.1).
//!
//! The server below would tell every such client at once to go on. A service may look at the head first, by routes
//! of its own: 100 lets the client send, and the request goes its usual way; anything else is the answer, and the
//! body never comes.

use std::{fmt::Debug, rc::Rc};

use actix_http::{Request, Response};
use actix_web::{
    Error,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceFactory, ServiceResponse, fn_factory, fn_service},
    http::StatusCode,
};

/// Makes the service that the server asks, of the one that `routes` makes: once for each thread.
pub(super) fn expectations<F, S, B>(
    routes: F,
) -> impl ServiceFactory<
    Request,
    Config = (),
    Response = Request,
    Error = Response<BoxBody>,
    InitError = S::InitError,
    Service = impl Service<Request, Response = Request, Error = Response<BoxBody>>,
>
where
    F: Fn() -> S + 'static,
    S: ServiceFactory<Request, Config = (), Response = ServiceResponse<B>, Error = Error> + 'static,
    S::InitError: Debug,
    B: MessageBody + 'static,
{
    let routes = Rc::new(routes);
    fn_factory(move || {
        let made = routes().new_service(());
        async move {
            let judge = Rc::new(made.await?);
            Ok(fn_service(move |req: Request| {
                let judge = Rc::clone(&judge);
                async move { judged(judge.call(head_of(&req)).await).map(|()| req) }
            }))
        }
    })
}

/// The same request without its body.
fn head_of(req: &Request) -> Request {
    let mut head = Request::new();
    head.head_mut().clone_from(req.head());
    head
}

fn judged<B: MessageBody + 'static>(
    answer: Result<ServiceResponse<B>, Error>,
) -> Result<(), Response<BoxBody>> {
    match answer {
        Ok(answer) if answer.status() == StatusCode::CONTINUE => Ok(()),
        Ok(answer) => Err(answer.into_parts().1.map_into_boxed_body().into()),
        Err(error) => Err(error.error_response().into()),
    }
}
