//! Two projects on one engine.

use crate::support::{Project, proxy::Proxy};

/// The removal of images is only recorded: those of other checkouts are on the same engine.
pub fn two_projects_do_not_touch_each_other_or_each_others_images(one: &Project) {
    let other = Project::new(&["europe"]);
    other.up();
    let (image, used) = (one.service_image(), other.service_image());
    assert_ne!(image, used, "each has an executable of its own");

    let proxy = Proxy::answering(|request| {
        (request.starts_with("DELETE ") && request.contains("/images/")).then_some((200, "[]"))
    });
    one.fedctl(&["down", "--images", "--host", &proxy.host()]).exits(0);
    assert_eq!(one.objects("container"), Vec::<String>::new());
    let removed = proxy.mutating().into_iter().filter(|request| request.contains("/images/"));
    let removed: Vec<String> = removed.collect();
    let asked_for = |image: &str| removed.iter().any(|request| request.contains(image));
    assert!(asked_for(&image) && !asked_for(&used), "{removed:?}");
    // an image that has lost its tag, such as one whose import was interrupted, is removed by its id
    let made = ["/images/fedctl-service:", "/images/sha256:"];
    assert!(removed.iter().all(|request| made.iter().any(|image| request.contains(image))), "{removed:?}");
    unharmed(&other);

    one.up();
    other.fedctl(&["down", "--volumes", "--confirm", &other.name]).exits(0);
    assert_eq!(other.objects("volume"), Vec::<String>::new());
    unharmed(one);
}

fn unharmed(project: &Project) {
    project.fedctl(&["plan", "--detailed-exitcode"]).exits(0);
    project.fedctl(&["demo"]).exits(0);
}
