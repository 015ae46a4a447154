//! Schedules of an agent, and what came of them.

use creel_domain::Generation;
use reqwest::{Method, header};

use super::{Client, Error, body};
use crate::{
    CreateSchedule, IDEMPOTENCY_KEY, PatchSchedule, PreviewSchedule, Schedule, ScheduleList, SchedulePreview,
    ScheduleRun, ScheduleRunList,
};

impl Client {
    pub async fn schedules(&self, agent: &str) -> Result<ScheduleList, Error> {
        self.json(self.get(&["v1", "agents", agent, "schedules"])).await
    }

    /// With a key it is safe to send again.
    pub async fn create_schedule(
        &self,
        agent: &str,
        create: &CreateSchedule,
        key: &str,
    ) -> Result<Schedule, Error> {
        let request = self
            .request(Method::POST, &["v1", "agents", agent, "schedules"], &[])
            .header(IDEMPOTENCY_KEY, key);
        self.json(body(request, create)).await
    }

    pub async fn schedule(&self, agent: &str, schedule: &str) -> Result<Schedule, Error> {
        self.json(self.get(&["v1", "agents", agent, "schedules", schedule]))
            .await
    }

    /// Changes the schedule if it is still at `revision`.
    pub async fn patch_schedule(
        &self,
        agent: &str,
        schedule: &str,
        revision: Generation,
        patch: &PatchSchedule,
    ) -> Result<Schedule, Error> {
        let request = self
            .request(
                Method::PATCH,
                &["v1", "agents", agent, "schedules", schedule],
                &[],
            )
            .header(header::IF_MATCH, format!("\"{}\"", revision.0));
        self.json(body(request, patch)).await
    }

    pub async fn remove_schedule(&self, agent: &str, schedule: &str) -> Result<(), Error> {
        self.done(self.request(
            Method::DELETE,
            &["v1", "agents", agent, "schedules", schedule],
            &[],
        ))
        .await
    }

    /// Says it now. With a key it is safe to send again.
    pub async fn run_schedule(&self, agent: &str, schedule: &str, key: &str) -> Result<ScheduleRun, Error> {
        let path = ["v1", "agents", agent, "schedules", schedule, "run"];
        let request = self
            .request(Method::POST, &path, &[])
            .header(IDEMPOTENCY_KEY, key);
        self.json(request).await
    }

    /// Newest first.
    pub async fn schedule_runs(
        &self,
        agent: &str,
        schedule: &str,
        limit: u32,
        cursor: Option<&str>,
    ) -> Result<ScheduleRunList, Error> {
        let path = ["v1", "agents", agent, "schedules", schedule, "runs"];
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.json(self.request(Method::GET, &path, &query)).await
    }

    pub async fn preview_schedule(&self, preview: &PreviewSchedule) -> Result<SchedulePreview, Error> {
        let request = self.request(Method::POST, &["v1", "schedules", "preview"], &[]);
        self.json(body(request, preview)).await
    }
}
