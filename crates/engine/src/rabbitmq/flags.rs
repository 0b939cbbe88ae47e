//! Feature flags. A newer version requires some, and does not start on data of a broker where they are disabled.

use serde_json::json;

use super::{Broker, Result, answer};

impl Broker {
    /// Enables every stable feature flag, one after the other. An experimental one is left as it is.
    pub async fn enable_feature_flags(&self) -> Result<()> {
        let flags: Vec<answer::FeatureFlag> = self.get(["feature-flags"], "").await?;
        for answer::FeatureFlag { name, .. } in flags.into_iter().filter(answer::FeatureFlag::is_due) {
            self.put(&["feature-flags", &name, "enable"], &json!({ "name": name })).await?;
        }
        Ok(())
    }
}
