//! Describe jobs: the columns of a party's files and views, read where a hostile file can do no
//! harm.

use glovebox_job::descriptors::ReceivedDescriptors;
use glovebox_job::event::Event;
use glovebox_job::job::{DescribeBrokeredJob, DescribeJob, DescribeViewJob};

use crate::inputs::{no_broker, view_tables};
use crate::work::{self, Failure, own_usage, query_files, query_format};

pub(crate) fn describe(
    job: &DescribeJob,
    mut descriptors: ReceivedDescriptors,
) -> Result<Event, Failure> {
    let files = query_files(&job.files, &mut descriptors)?;
    let columns = glovebox_query::describe(query_format(job.format), files)?;
    Ok(Event::Described { columns, usage: own_usage() })
}

pub(crate) fn describe_view(
    job: &DescribeViewJob,
    mut descriptors: ReceivedDescriptors,
) -> Result<Event, Failure> {
    let tables = view_tables(&job.view, &job.definition, &mut descriptors)?;
    let columns = glovebox_query::describe_view(&job.definition.sql, tables)?;
    Ok(Event::Described { columns, usage: own_usage() })
}

pub(crate) fn describe_brokered(
    job: &DescribeBrokeredJob,
    mut descriptors: ReceivedDescriptors,
) -> Result<Event, Failure> {
    let broker = work::broker(&job.broker, &mut descriptors)?.ok_or_else(no_broker)?;
    let files = work::brokered_files(&job.files, &broker);
    let columns = glovebox_query::describe_brokered(&files)?;
    Ok(Event::Described { columns, usage: own_usage() })
}
