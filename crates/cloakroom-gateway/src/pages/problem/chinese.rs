//! What people are told in Chinese, in simplified characters.

use std::borrow::Cow;

use super::Problem;

/// What happened, and what its reader can do.
pub(super) fn words(problem: Problem) -> (&'static str, Cow<'static, str>) {
    let (title, text) = match problem {
        Problem::TooMany(seconds) => return ("尝试次数过多", too_many(seconds).into()),
        Problem::BadRequest(_) => {
            ("无法理解此请求", "请检查网址。如果您是通过链接来到这里的，请告知链接的作者。")
        }
        Problem::NotSignedIn => ("请先登录", "登录后才能查看此内容。"),
        Problem::SessionEnded => {
            ("您的会话已结束", "它刚刚在此处或另一台设备上被结束。未做任何更改。请重新登录。")
        }
        Problem::WrongCredentials => ("登录失败", "用户名与密码不匹配。请检查后重试。"),
        Problem::CookieNotKept => (
            "请通过 HTTPS 访问",
            "您的浏览器不会通过普通 HTTP 保存登录状态，因此未能登录。请在网址前加上 https://；\
             如果仍然无法登录，请告知网站管理员：本站需要启用 HTTPS。",
        ),
        Problem::Denied => (
            "此内容不对外开放",
            "任何人都无法从这里查看。如果您认为自己应有权限，请联系网站管理员。",
        ),
        Problem::RoleMissing => (
            "您无权查看此内容",
            "您已登录，但您的账号没有此页面的权限。请向网站管理员申请，或换一个账号登录。",
        ),
        Problem::WrongAddress => (
            "当前网络无法访问",
            "此内容只能从特定网络查看。请连接到您的网络（例如通过 VPN），然后重试。",
        ),
        Problem::CrossSite => (
            "此请求来自其他网站",
            "这个表单是由其他网站的页面发送的，因此未做任何处理。请在本站打开页面，再提交表单。",
        ),
        Problem::WrongHost => ("此网站不由本网关提供", "此网关不提供这个域名的站点。请检查网址。"),
        Problem::NotFound => ("没有这个页面", "请检查网址，或从首页开始。"),
        Problem::MethodNotAllowed => (
            "此页面不支持这种操作",
            "请返回并使用页面上的按钮。程序可在 Allow 标头中查看支持的方法。",
        ),
        Problem::TooSlow => {
            ("发送超时", "您发送的内容只有一部分及时到达。请先确认是否已处理，再重试。")
        }
        Problem::TooManySessions => {
            ("您已在其他设备上登录", "您登录的设备数已达上限。请先在其中一台设备上退出，然后重试。")
        }
        Problem::Settling => ("您刚刚登录", "此页面是登录之前的。未做任何更改，请重试。"),
        Problem::TooLarge => ("内容过大", "发送的内容超出了限制。请减少内容，或选择较小的文件。"),
        Problem::UpstreamAway => (
            "服务暂时不可用",
            "目前无法连接到该服务。请一分钟后重试。如果您已登录，登录状态不会改变。",
        ),
        Problem::UpstreamSlow => {
            ("服务响应超时", "它没有及时回应。如果您刚刚提交了内容，请先确认是否已完成，再重试。")
        }
        Problem::StoreAway => {
            ("请稍后重试", "目前无法查询登录状态。您没有被退出登录，也没有丢失任何内容。")
        }
        Problem::Busy => ("请稍后重试", "目前登录的人很多。请等待几秒钟，然后重试。"),
        Problem::Loop => (
            "您被反复重定向",
            "您已登录，但您请求的页面不断把您送回登录页。我们已中止这一过程。请退出后重新登录；\
             如果仍然如此，请允许本站使用 Cookie，或联系网站管理员。",
        ),
        Problem::Circle => {
            ("请求陷入循环", "目标服务又指回了本网关，因此请求已被中止。请告知网站管理员。")
        }
        Problem::Broken => {
            ("出错了", "这是我们的问题，与您无关。请重试；如果问题持续，请联系网站管理员。")
        }
    };
    (title, text.into())
}

fn too_many(seconds: u64) -> String {
    let wait = match seconds {
        0..=90 => format!("{} 秒", seconds.max(1)),
        _ => format!("{} 分钟", seconds.div_ceil(60)),
    };
    format!(
        "此账号或此地址的登录尝试过于频繁。请等待 {wait}后重试。在此之前，任何密码（包括正确的密码）\
         都不会被核对。"
    )
}
