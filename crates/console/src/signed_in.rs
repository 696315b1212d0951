//! The caller of a page.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use hookfleet_api::Peer;
use hookfleet_domain::{TenantId, Timestamp};

use crate::Console;
use crate::api::{Api, Principal};
use crate::fields::with_query;
use crate::page::{Section, Shell};

/// Somebody who is signed in, and the API as they see it. Whoever is not is sent to sign in.
pub struct SignedIn {
    /// Asks in their name.
    pub api: Api,
    /// The only tenant that they see; none: they see all.
    pub tenant: Option<TenantId>,
    /// Did they come by a link? Then tokens are none of theirs.
    pub is_visitor: bool,
    /// When their session ends.
    pub until: Timestamp,
}

impl SignedIn {
    /// Do they see all tenants?
    pub fn is_operator(&self) -> bool {
        self.tenant.is_none()
    }

    /// What stands around a page of the whole fleet's, or of a tenant's own where they see no more.
    pub fn shell(&self, section: Section, title: &str) -> Shell {
        Shell::new(title, section, (self.is_operator(), self.tenant.clone()))
            .of_visitor(self.is_visitor)
    }

    /// What stands around a page of this tenant's.
    pub fn tenant_shell(&self, section: Section, tenant: &TenantId, title: &str) -> Shell {
        Shell::new(title, section, (self.is_operator(), Some(tenant.clone())))
            .of_visitor(self.is_visitor)
    }
}

impl FromRequestParts<Arc<Console>> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        console: &Arc<Console>,
    ) -> Result<Self, Response> {
        let Some(session) = console.sessions.of(&parts.headers) else {
            let next = if parts.method == Method::GET { parts.uri.path() } else { "/" };
            let next = if next == "/" { "" } else { next };
            return Err(Redirect::to(&with_query("/sign-in", &[("next", next)])).into_response());
        };
        let peer = parts.extensions.get::<Peer>().copied();
        let is_visitor = matches!(session.principal, Principal::Visitor(_));
        let api = Api::new(console.api.clone(), session.principal, peer);
        Ok(Self { api, tenant: session.tenant, is_visitor, until: session.until })
    }
}
