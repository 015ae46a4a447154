//! `/v1/operators`: who runs the platform.

use std::sync::Arc;

use axum::{Json as Answered, extract::State, http::StatusCode};
use creel_api::{AddOperator, Operator, OperatorList, Problem};
use creel_domain::UserId;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    auth::Caller,
    extract::{Json, Path},
    failure::Answer,
};
use crate::{Control, operations::operators};

pub(super) fn routes() -> OpenApiRouter<Arc<Control>> {
    OpenApiRouter::new()
        .routes(routes!(list, add))
        .routes(routes!(remove))
}

/// All operators of the platform.
#[utoipa::path(get, path = "/v1/operators", tag = "operators",
    responses((status = 200, body = OperatorList), (status = "default", body = Problem)))]
async fn list(caller: Caller, State(control): State<Arc<Control>>) -> Answer<Answered<OperatorList>> {
    let items = operators::list(&control, &caller).await?;
    Ok(Answered(OperatorList { items }))
}

/// Makes a user an operator.
#[utoipa::path(post, path = "/v1/operators", tag = "operators", request_body = AddOperator,
    responses((status = 200, body = Operator), (status = "default", body = Problem)))]
async fn add(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Json { value: body, .. }: Json<AddOperator>,
) -> Answer<Answered<Operator>> {
    Ok(Answered(operators::add(&control, &caller, body.email).await?))
}

/// Makes an operator an ordinary user again. One is always left.
#[utoipa::path(delete, path = "/v1/operators/{user}", tag = "operators", params(("user" = UserId, Path)),
    responses((status = 204), (status = "default", body = Problem)))]
async fn remove(
    caller: Caller,
    State(control): State<Arc<Control>>,
    Path(user): Path<UserId>,
) -> Answer<StatusCode> {
    operators::remove(&control, &caller, user).await?;
    Ok(StatusCode::NO_CONTENT)
}
