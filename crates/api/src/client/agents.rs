//! Agents: made, listed, changed, started anew, deleted. `agent` is a name or an id.

use creel_domain::Generation;
use reqwest::{Method, header};

use super::{Client, Error, body};
use crate::{Agent, AgentList, AgentMemory, CreateAgent, HoldAgent, IDEMPOTENCY_KEY, PatchAgent};

impl Client {
    /// With the same `key` it may be sent again and makes one agent only.
    pub async fn create_agent(&self, agent: &CreateAgent, key: Option<&str>) -> Result<Agent, Error> {
        let mut request = self.request(Method::POST, &["v1", "agents"], &[]);
        if let Some(key) = key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        self.json(body(request, agent)).await
    }

    /// One page; `cursor` is the `next_cursor` of the one before.
    pub async fn list_agents(&self, cursor: Option<&str>) -> Result<AgentList, Error> {
        let query: Vec<_> = cursor
            .map(|cursor| ("cursor", cursor.to_owned()))
            .into_iter()
            .collect();
        self.json(self.request(Method::GET, &["v1", "agents"], &query))
            .await
    }

    /// All pages.
    pub async fn all_agents(&self) -> Result<Vec<Agent>, Error> {
        let mut page = self.list_agents(None).await?;
        let mut agents = page.items;
        while let Some(cursor) = page.next_cursor {
            page = self.list_agents(Some(&cursor)).await?;
            agents.append(&mut page.items);
        }
        Ok(agents)
    }

    pub async fn agent(&self, agent: &str) -> Result<Agent, Error> {
        self.json(self.get(&["v1", "agents", agent])).await
    }

    /// Keeps it awake; wakes it if it sleeps.
    pub async fn hold_agent(&self, agent: &str, hold: &HoldAgent) -> Result<Agent, Error> {
        let request = self.request(Method::PUT, &["v1", "agents", agent, "hold"], &[]);
        self.json(request.json(hold)).await
    }

    /// Keeps it awake no longer.
    pub async fn release_agent(&self, agent: &str) -> Result<Agent, Error> {
        self.json(self.request(Method::DELETE, &["v1", "agents", agent, "hold"], &[]))
            .await
    }

    /// What it has in memory and in swap.
    pub async fn agent_memory(&self, agent: &str) -> Result<AgentMemory, Error> {
        self.json(self.get(&["v1", "agents", agent, "memory"])).await
    }

    /// Refused when the agent has another revision by now.
    pub async fn patch_agent(
        &self,
        agent: &str,
        revision: Generation,
        patch: &PatchAgent,
    ) -> Result<Agent, Error> {
        let request = self
            .request(Method::PATCH, &["v1", "agents", agent], &[])
            .header(header::IF_MATCH, format!("\"{}\"", revision.0));
        self.json(body(request, patch)).await
    }

    /// Returns once it is decided; the agent is listed as deleting until it is gone.
    pub async fn delete_agent(&self, agent: &str) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "agents", agent], &[]))
            .await
    }

    /// Makes its sandbox anew; the volume stays.
    pub async fn restart_agent(&self, agent: &str) -> Result<(), Error> {
        self.done(self.request(Method::POST, &["v1", "agents", agent, "restart"], &[]))
            .await
    }
}
