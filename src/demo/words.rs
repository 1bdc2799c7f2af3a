//! What is said in stories: features of a shop, and answers of models about them.

use super::random::Random;

/// Something that a shop can do.
#[derive(Debug)]
pub struct Feature {
    pub name: &'static str,
    pub routes: &'static [&'static str],
    pub file: &'static str,
    /// What a test of it looks at.
    pub subject: &'static str,
}

pub const FEATURES: &[Feature] = &[
    Feature {
        name: "checkout",
        routes: &["/cart", "/cart/address", "/cart/pay"],
        file: "src/cart/checkout.ts",
        subject: "the total",
    },
    Feature {
        name: "sign-in",
        routes: &["/login", "/login/forgotten"],
        file: "src/user/login.ts",
        subject: "the session",
    },
    Feature {
        name: "product-search",
        routes: &["/search", "/search/suggest"],
        file: "src/search/index.ts",
        subject: "the order of results",
    },
    Feature {
        name: "invoices",
        routes: &["/account/invoices", "/account/invoices/pdf"],
        file: "src/account/invoices.ts",
        subject: "the tax",
    },
    Feature {
        name: "returns",
        routes: &["/returns", "/returns/label"],
        file: "src/orders/returns.ts",
        subject: "the label",
    },
    Feature { name: "wish-list", routes: &["/wishes"], file: "src/wishes/list.ts", subject: "the list" },
];

/// An answer of an agent's model in so many pieces.
pub fn answer(agent: &str, feature: &Feature, pieces: usize, random: &mut Random) -> Vec<String> {
    let phrases: &[&str] = match agent {
        "planner" => {
            &["First, open {route}. ", "Then fill in the form. ", "Check {subject}. ", "Go back and try again. "]
        }
        "writer" => &[
            "await page.goto('{route}');\n",
            "await page.getByRole('button').click();\n",
            "await expect(page).toHaveURL('{route}');\n",
            "// {subject} must be right.\n",
        ],
        "critic" => &["The test opens {route}. ", "It looks at {subject}. ", "Nothing depends on fixed times. "],
        _ => &["The page {route} loaded. ", "On the screenshot, {subject} is visible. "],
    };
    // One after the other, so that an answer does not repeat itself more than it must.
    let first = random.between(0, 7) as usize;
    let piece = |number: usize| {
        let (phrase, route) =
            (phrases[(first + number) % phrases.len()], feature.routes[number % feature.routes.len()]);
        phrase.replace("{route}", route).replace("{subject}", feature.subject)
    };
    (0..pieces).map(piece).collect()
}
