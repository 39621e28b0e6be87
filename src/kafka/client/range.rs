//! The range assignor (pure): of each topic, the members that want it get runs of neighbouring partitions, in the order of
//! their names; the first ones get one more where it does not come out even.
use std::collections::BTreeMap;

/// A member, as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscriber {
    /// Member id.
    pub id: String,
    /// The member's own name for itself: it keeps its place in the order over restarts.
    pub instance_id: Option<String>,
    /// What it wants.
    pub topics: Vec<String>,
}

/// What each member gets, by topic; everybody is in it. `partitions`: how many each topic has.
pub fn range(
    members: &[Subscriber],
    partitions: &BTreeMap<String, i32>,
) -> BTreeMap<String, BTreeMap<String, Vec<i32>>> {
    let mut shares: BTreeMap<String, BTreeMap<String, Vec<i32>>> =
        members.iter().map(|member| (member.id.clone(), BTreeMap::new())).collect();
    for (topic, &count) in partitions {
        let mut wanted: Vec<&Subscriber> = members.iter().filter(|member| member.topics.contains(topic)).collect();
        // As Kafka has it: those with a name of their own first.
        wanted.sort_by_key(|member| (member.instance_id.is_none(), &member.instance_id, &member.id));
        let Some(each) = i32::try_from(wanted.len()).ok().and_then(|members| count.checked_div(members)) else {
            continue;
        };
        let mut left = count - each * wanted.len() as i32;
        let mut next = 0;
        for member in wanted {
            let end = next + each + i32::from(left > 0);
            left -= 1;
            if let Some(share) = shares.get_mut(&member.id).filter(|_| end > next) {
                share.insert(topic.clone(), (next..end).collect());
            }
            next = end;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, instance_id: Option<&str>, topics: &[&str]) -> Subscriber {
        let topics = topics.iter().map(|topic| (*topic).to_owned()).collect();
        Subscriber { id: id.to_owned(), instance_id: instance_id.map(str::to_owned), topics }
    }

    fn shares(members: &[Subscriber], partitions: &[(&str, i32)]) -> Vec<String> {
        let partitions = partitions.iter().map(|(topic, count)| ((*topic).to_owned(), *count)).collect();
        let share = |(id, topics): (String, BTreeMap<String, Vec<i32>>)| {
            let topics: Vec<String> = topics.iter().map(|(topic, own)| format!("{topic}{own:?}")).collect();
            format!("{id}: {}", topics.join(" "))
        };
        range(members, &partitions).into_iter().map(share).collect()
    }

    #[test]
    fn neighbours_go_together_and_the_first_ones_get_one_more() {
        let members = [member("b", None, &["t"]), member("a", None, &["t"]), member("c", None, &["t"])];
        assert_eq!(shares(&members, &[("t", 7)]), ["a: t[0, 1, 2]", "b: t[3, 4]", "c: t[5, 6]"]);
        assert_eq!(shares(&members, &[("t", 2)]), ["a: t[0]", "b: t[1]", "c: "]);
        assert_eq!(shares(&members, &[]), ["a: ", "b: ", "c: "]);
    }

    #[test]
    fn topics_go_to_those_who_want_them() {
        let members = [member("a", None, &["t", "u"]), member("b", None, &["u"])];
        assert_eq!(shares(&members, &[("t", 2), ("u", 3), ("v", 1)]), ["a: t[0, 1] u[0, 1]", "b: u[2]"]);
    }

    #[test]
    fn a_name_of_its_own_keeps_a_member_in_its_place() {
        let members = [member("a", Some("z"), &["t"]), member("b", None, &["t"]), member("c", Some("y"), &["t"])];
        assert_eq!(shares(&members, &[("t", 3)]), ["a: t[1]", "b: t[2]", "c: t[0]"]);
    }
}
