//! Names of databases and their users.

use payinfra_engine::{Error, Result};

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// A database.
    Database,
    /// A master user.
    User,
}

/// Checks a name in Aurora `PostgreSQL` or RDS for `PostgreSQL`.
///
/// # Errors
/// If the engine reserves it.
pub(crate) fn postgresql(named: Named, name: &str) -> Result<()> {
    let own = match named {
        Named::Database => ["postgres", "rdsadmin", "template0", "template1"].as_slice(),
        Named::User => &["admin", "postgres", "public", "rds_superuser", "rdsadmin", "rdsrepladmin", "root"],
    };
    let is_system = named == Named::User && name.to_ascii_lowercase().starts_with("pg_");
    reserved(named, name, "PostgreSQL", is_system || has(own, name) || has_word(POSTGRESQL, name))
}

/// Checks a name in Aurora `MySQL`.
///
/// # Errors
/// If the engine reserves it.
pub(crate) fn mysql(named: Named, name: &str) -> Result<()> {
    let own = match named {
        Named::Database => ["information_schema", "innodb", "mysql", "performance_schema", "sys"].as_slice(),
        Named::User => &["rds_superuser_role", "rdsadmin", "rdsrepladmin", "root"],
    };
    reserved(named, name, "MySQL", has(own, name) || has_word(MYSQL, name))
}

fn has(words: &[&str], name: &str) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(name))
}

/// Whether a list of words with spaces between them has a name.
fn has_word(words: &str, name: &str) -> bool {
    words.split(' ').any(|word| word.eq_ignore_ascii_case(name))
}

fn reserved(named: Named, name: &str, engine: &str, is_reserved: bool) -> Result<()> {
    if !is_reserved {
        return Ok(());
    }
    let what = if named == Named::User { "user name" } else { "database name" };
    Err(Error::invalid(format!("{engine} reserves the {what} `{name}`")).hint("choose another name, such as payments"))
}

/// The reserved words of `PostgreSQL` 17: its documentation, appendix C, "SQL Key Words".
const POSTGRESQL: &str = "\
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate \
    collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end \
    except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into \
    is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on \
    only or order outer overlaps placing primary references returning right select session_user similar some \
    symmetric system_user table tablesample then to trailing true union unique user using variadic verbose when \
    where window with";

/// The reserved words of `MySQL` 8.0: its reference manual, 11.3 "Keywords and Reserved Words".
const MYSQL: &str = "\
    accessible add all alter analyze and as asc asensitive before between bigint binary blob both by call \
    cascade case change char character check collate column condition constraint continue convert create cross \
    cube cume_dist current_date current_time current_timestamp current_user cursor database databases day_hour \
    day_microsecond day_minute day_second dec decimal declare default delayed delete dense_rank desc describe \
    deterministic distinct distinctrow div double drop dual each else elseif empty enclosed escaped except \
    exists exit explain false fetch first_value float float4 float8 for force foreign from fulltext function \
    generated get grant group grouping groups having high_priority hour_microsecond hour_minute hour_second if \
    ignore in index infile inner inout insensitive insert int int1 int2 int3 int4 int8 integer intersect \
    interval into io_after_gtids io_before_gtids is iterate join json_table key keys kill lag last_value lateral \
    lead leading leave left like limit linear lines load localtime localtimestamp lock long longblob longtext \
    loop low_priority master_bind master_ssl_verify_server_cert match maxvalue mediumblob mediumint mediumtext \
    middleint minute_microsecond minute_second mod modifies natural not no_write_to_binlog nth_value ntile null \
    numeric of on optimize optimizer_costs option optionally or order out outer outfile over partition \
    percent_rank precision primary procedure purge range rank read reads read_write real recursive references \
    regexp release rename repeat replace require resignal restrict return revoke right rlike row rows row_number \
    schema schemas second_microsecond select sensitive separator set show signal smallint spatial specific sql \
    sqlexception sqlstate sqlwarning sql_big_result sql_calc_found_rows sql_small_result ssl starting stored \
    straight_join system table terminated then tinyblob tinyint tinytext to trailing trigger true undo union \
    unique unlock unsigned update usage use using utc_date utc_time utc_timestamp values varbinary varchar \
    varcharacter varying virtual when where while window with write xor year_month zerofill";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_engines_reserve() {
        for name in ["postgres", "user", "Select", "rdsadmin"] {
            assert!(postgresql(Named::Database, name).is_err(), "{name}");
        }
        for name in ["admin", "pg_monitor", "PG_a", "table", "root"] {
            assert!(postgresql(Named::User, name).is_err(), "{name}");
        }
        for name in ["mysql", "schema", "KEY", "sys"] {
            assert!(mysql(Named::Database, name).is_err(), "{name}");
        }
        for name in ["rdsadmin", "read", "root"] {
            assert!(mysql(Named::User, name).is_err(), "{name}");
        }
        for name in ["payments", "orders", "users", "admin_of_all"] {
            for named in [Named::Database, Named::User] {
                assert!(postgresql(named, name).is_ok() && mysql(named, name).is_ok(), "{name}");
            }
        }
    }
}
