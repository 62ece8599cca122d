use super::*;

/// Wednesday, 4 March 2026, 10:30 UTC.
fn now() -> UtcDateTime {
    UtcDateTime::from_unix_timestamp(1_772_620_200).unwrap()
}

fn boundaries(conditions: &[&str]) -> Boundaries {
    let mut boundaries = Boundaries::default();
    for condition in conditions {
        let text = format!("permit (principal, action, resource) when {{ {condition} }};");
        boundaries.add(&Policy::parse(None, text).unwrap());
    }
    boundaries
}

#[test]
fn only_the_time_attributes_of_the_context_count() {
    for (condition, expected) in [
        ("context.now < datetime(\"2026-01-01\")", true),
        ("context[\"weekday\"] == 6", true),
        ("context has weekday", true),
        ("if context.duration > 900 then context.weekday == 1 else true", true),
        ("[1, 2].contains(context.weekday)", true),
        ("context == {}", true),
        ("principal.name == \"know-now\"", false),
        ("context has device && context.device.managed", false),
        ("resource in Sentinel::ProfileGroup::\"now\"", false),
        ("context.duration == 900", false),
    ] {
        assert_eq!(boundaries(&[condition]).reads_time, expected, "{condition}");
    }
}

#[test]
fn times_of_day_recur_and_moments_come_once() {
    let of_day = boundaries(&["context.now.toTime() >= duration(\"8h30m\")"]);
    let times = of_day.in_the_week_after(now());
    assert_eq!(times.len(), 28, "8:30 and midnight of seven days, and the seconds after them");
    assert!(times.contains(&(now() + Duration::hours(22))), "tomorrow at 8:30");
    let moment = boundaries(&["context.now >= datetime(\"2026-03-05T12:00:00+0100\")"]);
    assert!(moment.in_the_week_after(now()).contains(&(now() + Duration::minutes(24 * 60 + 30))));
    assert!(boundaries(&["context.duration == 900"]).in_the_week_after(now()).is_empty());
}

#[test]
fn shifted_times_are_covered() {
    let shifted =
        boundaries(&["context.now.offset(duration(\"2h\")).toTime() >= duration(\"8h\")"]);
    let six = now().replace_time(time::Time::from_hms(6, 0, 0).unwrap()) + DAY;
    assert!(shifted.in_the_week_after(now()).contains(&six));
}

#[test]
fn durations_and_datetimes_are_read_as_cedar_writes_them() {
    assert_eq!(duration("1d2h3m4s5ms"), Some(Duration::milliseconds(93_784_005)));
    assert_eq!(duration("-90m"), Some(Duration::minutes(-90)));
    for odd in ["1", "h", "1x", "999999999999999999d"] {
        assert_eq!(duration(odd), None, "{odd}");
    }
    assert_eq!(moment("2026-03-04T11:30:00+0100"), Some(now()));
    assert_eq!(moment("2026-03-04T10:30:00.000Z"), Some(now()));
    assert_eq!(moment("2026-03-04").map(UtcDateTime::hour), Some(0));
    assert_eq!(moment("soon"), None);
}

/// THREAT: a policy with many literals makes a dry run compute times until Lambda ends it.
/// PREVENTION: the number of times is bounded.
#[test]
fn security_the_number_of_times_is_bounded() {
    let condition = |n: u32| {
        let (minute, second) = (n % 60, n / 60);
        format!(
            "context.now.offset(duration(\"{n}s\")) < datetime(\"2026-03-05T10:{minute:02}:{second:02}Z\")"
        )
    };
    let conditions: Vec<String> = (0..600).map(condition).collect();
    let many = boundaries(&conditions.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(many.in_the_week_after(now()).len() <= 2 * MOST_TIMES);
}

#[test]
fn a_moment_is_looked_at_both_ways_from_it_and_a_second_later() {
    let noon = now() + Duration::minutes(90);
    let both = boundaries(&[
        "context.now.durationSince(datetime(\"2026-03-04T12:00:00Z\")) > duration(\"30m\")",
    ]);
    let times = both.in_the_week_after(now());
    for minutes in [-30, 0, 30] {
        let time = noon + Duration::minutes(minutes);
        assert!(times.contains(&time) && times.contains(&(time + Duration::SECOND)), "{minutes}");
    }
    assert!(!times.contains(&(noon - Duration::SECOND)));
}

#[test]
fn the_week_begins_after_now_and_ends_with_its_last_second() {
    let of_day = boundaries(&["context.now.toTime() >= duration(\"10h30m\")"]);
    let times = of_day.in_the_week_after(now());
    assert!(!times.contains(&now()) && times.contains(&(now() + Duration::SECOND)));
    assert_eq!(times.last(), Some(&(now() + Duration::WEEK)));
}

#[test]
fn shifted_times_are_the_sums_and_the_differences() {
    let shifted =
        boundaries(&["context.now.offset(duration(\"2h\")).toTime() >= duration(\"8h\")"]);
    let midnight = now().replace_time(time::Time::MIDNIGHT) + DAY;
    let times = shifted.in_the_week_after(now());
    for hours in [6, 10, 16, 4, 18] {
        assert!(times.contains(&(midnight + Duration::hours(hours))), "{hours}");
    }
}

#[test]
fn a_datetime_is_cut_only_between_characters() {
    assert_eq!(moment("2026-03-04T11\u{e9}0"), None);
}
