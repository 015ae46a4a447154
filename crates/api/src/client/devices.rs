//! Devices of the caller's org, and becoming one.

use creel_domain::DeviceId;
use reqwest::Method;

use super::{Client, Error, body};
use crate::{
    ApproveDevice, AskForDevice, DeviceAuthorization, DeviceCode, DeviceList, DeviceRequest, DeviceToken,
    UserCode,
};

impl Client {
    fn of_devices(&self, what: &str) -> reqwest::RequestBuilder {
        self.request(Method::POST, &["v1", "devices", what], &[])
    }

    /// Begins to become a device.
    pub async fn ask_for_device(&self, ask: &AskForDevice) -> Result<DeviceAuthorization, Error> {
        self.json(body(self.of_devices("authorize"), ask)).await
    }

    /// The token, once somebody has approved. Until then a problem that says how it stands.
    pub async fn device_token(&self, device_code: String) -> Result<DeviceToken, Error> {
        self.json(body(self.of_devices("token"), &DeviceCode { device_code }))
            .await
    }

    /// What it is that shows this code.
    pub async fn inspect_device(&self, user_code: String) -> Result<DeviceRequest, Error> {
        self.json(body(self.of_devices("inspect"), &UserCode { user_code }))
            .await
    }

    pub async fn approve_device(&self, approve: &ApproveDevice) -> Result<DeviceRequest, Error> {
        self.json(body(self.of_devices("approve"), approve)).await
    }

    pub async fn deny_device(&self, user_code: String) -> Result<(), Error> {
        self.done(body(self.of_devices("deny"), &UserCode { user_code }))
            .await
    }

    pub async fn devices(&self) -> Result<DeviceList, Error> {
        self.json(self.get(&["v1", "devices"])).await
    }

    pub async fn remove_device(&self, device: DeviceId) -> Result<(), Error> {
        self.done(self.request(Method::DELETE, &["v1", "devices", &device.to_string()], &[]))
            .await
    }
}
