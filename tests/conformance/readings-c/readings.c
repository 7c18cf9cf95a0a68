// Readings by site: the same as the other notebooks in this directory, with nothing but the
// generated bindings.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "notebook.h"

typedef glovebox_guest_types_error_t error;
typedef glovebox_guest_data_own_batch_reader_t reader;
typedef glovebox_guest_data_own_record_batch_t batch;
typedef glovebox_guest_data_columns_t columns;

// A bound on the sites of this example; more are an error, not an overflow.
#define MOST_SITES 64

typedef struct {
  bool is_null;
  size_t length;
  const uint8_t *text;
} site;

typedef struct {
  site site;
  int64_t n, values, good, high;
  bool has_day, has_amount;
  int32_t first_day, last_day, largest;
  double total;
} group;

static group groups[MOST_SITES];
static size_t group_count;

static bool fail(error *err, const char *message) {
  err->code = GLOVEBOX_GUEST_TYPES_ERROR_CODE_INTERNAL;
  notebook_string_dup(&err->message, message);
  return false;
}

static notebook_string_t text(const char *words) {
  notebook_string_t result;
  notebook_string_set(&result, words);
  return result;
}

// Null sorts last.
static int compare(const site *one, const site *other) {
  if (one->is_null || other->is_null) {
    return one->is_null - other->is_null;
  }
  size_t shorter = one->length < other->length ? one->length : other->length;
  int order = memcmp(one->text, other->text, shorter);
  return order != 0 ? order : (one->length > other->length) - (one->length < other->length);
}

// The group of a site, kept in order; a new one owns a copy of its name.
static group *group_of(const site *wanted) {
  size_t at = 0;
  while (at < group_count && compare(&groups[at].site, wanted) < 0) {
    at += 1;
  }
  if (at < group_count && compare(&groups[at].site, wanted) == 0) {
    return &groups[at];
  }
  uint8_t *copy = malloc(wanted->length);
  if (group_count == MOST_SITES || copy == NULL) {
    return NULL;
  }
  memcpy(copy, wanted->text, wanted->length);
  memmove(&groups[at + 1], &groups[at], (group_count - at) * sizeof(group));
  groups[at] = (group){.site = {wanted->is_null, wanted->length, copy}};
  group_count += 1;
  return &groups[at];
}

static bool bit(const notebook_list_u8_t *bitmap, size_t row) {
  return bitmap->ptr[row / 8] >> (row % 8) & 1;
}

static bool present(const columns *from, size_t validity, size_t row) {
  return from->buffers.ptr[validity].len == 0 || bit(&from->buffers.ptr[validity], row);
}

// The site of a row, of a column whose three buffers start at `first`.
static site site_at(const columns *from, size_t first, size_t row) {
  if (!present(from, first, row)) {
    return (site){.is_null = true};
  }
  const int32_t *offsets = (const int32_t *)from->buffers.ptr[first + 1].ptr;
  const uint8_t *bytes = from->buffers.ptr[first + 2].ptr;
  return (site){false, (size_t)(offsets[row + 1] - offsets[row]), bytes + offsets[row]};
}

// Buffers of the scan: site 0 to 2, day 3 and 4, value 5 and 6, amount 7 and 8, ok 9 and 10.
static bool add_reading(const columns *from, size_t row, error *err) {
  site where = site_at(from, 0, row);
  group *group = group_of(&where);
  if (group == NULL) {
    return fail(err, "there are more sites than this notebook keeps");
  }
  group->n += 1;
  if (present(from, 3, row)) {
    int32_t day = ((const int32_t *)from->buffers.ptr[4].ptr)[row];
    group->first_day = group->has_day && group->first_day < day ? group->first_day : day;
    group->last_day = group->has_day && group->last_day > day ? group->last_day : day;
    group->has_day = true;
  }
  if (present(from, 5, row)) {
    group->total += ((const double *)from->buffers.ptr[6].ptr)[row];
    group->values += 1;
  }
  if (present(from, 7, row)) {
    int32_t amount = ((const int32_t *)from->buffers.ptr[8].ptr)[row];
    group->largest = group->has_amount && group->largest > amount ? group->largest : amount;
    group->has_amount = true;
  }
  if (present(from, 9, row) && bit(&from->buffers.ptr[10], row)) {
    group->good += 1;
  }
  return true;
}

// Buffers of the query: site 0 to 2, n 3 and 4.
static bool add_high(const columns *from, size_t row, error *err) {
  site where = site_at(from, 0, row);
  group *group = group_of(&where);
  if (group == NULL) {
    return fail(err, "there are more sites than this notebook keeps");
  }
  group->high = ((const int64_t *)from->buffers.ptr[4].ptr)[row];
  return true;
}

typedef bool each_row(const columns *from, size_t row, error *err);

static bool read_batch(batch next, uint32_t column_count, each_row *each, error *err) {
  glovebox_guest_data_borrow_record_batch_t borrowed = glovebox_guest_data_borrow_record_batch(next);
  uint32_t numbers[] = {0, 1, 2, 3, 4};
  notebook_list_u32_t indices = {numbers, column_count};
  columns from;
  if (!glovebox_guest_data_method_record_batch_columns(borrowed, &indices, &from, err)) {
    return false;
  }
  uint64_t rows = glovebox_guest_data_method_record_batch_num_rows(borrowed);
  bool well = true;
  for (size_t row = 0; well && row < rows; row += 1) {
    well = each(&from, row, err);
  }
  glovebox_guest_data_columns_free(&from);
  return well;
}

static bool read_all(reader from, uint32_t column_count, each_row *each, error *err) {
  bool well = true;
  while (well) {
    glovebox_guest_data_option_own_record_batch_t next;
    well = glovebox_guest_data_method_batch_reader_next(
        glovebox_guest_data_borrow_batch_reader(from), &next, err);
    if (!well || !next.is_some) {
      break;
    }
    well = read_batch(next.val, column_count, each, err);
    glovebox_guest_data_record_batch_drop_own(next.val);
  }
  glovebox_guest_data_batch_reader_drop_own(from);
  return well;
}

static bool scan(error *err) {
  notebook_string_t name = text("lab.readings");
  glovebox_guest_tables_own_table_t table;
  if (!glovebox_guest_tables_open_table(&name, &table, err)) {
    return false;
  }
  notebook_string_t names[] = {text("site"), text("day"), text("value"), text("amount"), text("ok")};
  glovebox_guest_tables_scan_options_t options = {.columns = {true, {names, 5}}};
  reader from;
  bool well = glovebox_guest_tables_method_table_scan(
      glovebox_guest_tables_borrow_table(table), &options, &from, err);
  well = well && read_all(from, 5, add_reading, err);
  glovebox_guest_tables_table_drop_own(table);
  return well;
}

static bool query(error *err) {
  notebook_string_t name = text("least");
  glovebox_guest_types_scalar_t least;
  if (!glovebox_guest_parameters_get(&name, &least, err)) {
    return false;
  }
  notebook_string_t statement =
      text("SELECT site, count(*) AS n FROM lab.readings WHERE value >= $1 GROUP BY site");
  glovebox_guest_sql_list_scalar_t values = {&least, 1};
  reader from;
  return glovebox_guest_sql_query(&statement, &values, &from, err) && read_all(from, 2, add_high, err);
}

// Buffers of the output, in the order of its columns.
typedef struct {
  uint8_t validity[5][MOST_SITES / 8];
  int32_t offsets[MOST_SITES + 1];
  uint8_t *names;
  int64_t n[MOST_SITES], good[MOST_SITES], high[MOST_SITES];
  int32_t first_day[MOST_SITES], last_day[MOST_SITES], largest[MOST_SITES];
  double total[MOST_SITES], mean[MOST_SITES];
} table;

static table result;

static void set(size_t column, size_t row, bool is_present) {
  result.validity[column][row / 8] |= (uint8_t)(is_present << (row % 8));
}

// Validity: site 0, days 1, total and mean 2, largest 3; a column without nulls 4.
static bool fill(error *err) {
  size_t bytes = 0;
  for (size_t row = 0; row < group_count; row += 1) {
    bytes += groups[row].site.length;
  }
  result.names = malloc(bytes);
  if (result.names == NULL) {
    return fail(err, "there is no memory left");
  }
  for (size_t row = 0; row < group_count; row += 1) {
    const group *from = &groups[row];
    memcpy(result.names + result.offsets[row], from->site.text, from->site.length);
    result.offsets[row + 1] = result.offsets[row] + (int32_t)from->site.length;
    set(0, row, !from->site.is_null);
    set(1, row, from->has_day);
    set(2, row, from->values > 0);
    set(3, row, from->has_amount);
    set(4, row, true);
    result.n[row] = from->n;
    result.first_day[row] = from->first_day;
    result.last_day[row] = from->last_day;
    result.total[row] = from->total;
    result.mean[row] = from->values > 0 ? from->total / (double)from->values : 0;
    result.largest[row] = from->largest;
    result.good[row] = from->good;
    result.high[row] = from->high;
  }
  return true;
}

// How many nulls there are among the first `group_count` bits.
static uint64_t nulls(size_t column) {
  uint64_t count = 0;
  for (size_t row = 0; row < group_count; row += 1) {
    count += !(result.validity[column][row / 8] >> (row % 8) & 1);
  }
  return count;
}

static notebook_list_u8_t validity(size_t column) {
  return (notebook_list_u8_t){result.validity[column], (group_count + 7) / 8};
}

static notebook_list_u8_t values(void *from, size_t width) {
  return (notebook_list_u8_t){from, group_count * width};
}

static bool make_batch(glovebox_guest_data_borrow_schema_t schema, batch *made, error *err) {
  static const size_t valid[] = {0, 4, 1, 1, 2, 2, 3, 4, 4};
  glovebox_guest_data_field_node_t nodes[9];
  for (size_t column = 0; column < 9; column += 1) {
    nodes[column] = (glovebox_guest_data_field_node_t){group_count, nulls(valid[column])};
  }
  notebook_list_u8_t buffers[] = {
      validity(0), {(uint8_t *)result.offsets, (group_count + 1) * sizeof(int32_t)},
      {result.names, (size_t)result.offsets[group_count]},
      validity(4), values(result.n, 8),
      validity(1), values(result.first_day, 4),
      validity(1), values(result.last_day, 4),
      validity(2), values(result.total, 8),
      validity(2), values(result.mean, 8),
      validity(3), values(result.largest, 4),
      validity(4), values(result.good, 8),
      validity(4), values(result.high, 8),
  };
  columns data = {{nodes, 9}, {buffers, sizeof buffers / sizeof *buffers}};
  return glovebox_guest_data_static_record_batch_from_columns(schema, group_count, &data, made, err);
}

static bool write(error *err) {
  notebook_string_t name = text("summary");
  glovebox_guest_outputs_own_output_t output;
  if (!fill(err) || !glovebox_guest_outputs_open_output(&name, &output, err)) {
    return false;
  }
  glovebox_guest_outputs_borrow_output_t borrowed = glovebox_guest_outputs_borrow_output(output);
  glovebox_guest_data_own_schema_t schema = glovebox_guest_outputs_method_output_schema(borrowed);
  batch made;
  bool well = make_batch(glovebox_guest_data_borrow_schema(schema), &made, err);
  if (well) {
    well = glovebox_guest_outputs_method_output_write(
        borrowed, glovebox_guest_data_borrow_record_batch(made), err);
    glovebox_guest_data_record_batch_drop_own(made);
  }
  glovebox_guest_data_schema_drop_own(schema);
  glovebox_guest_outputs_output_summary_t summary;
  return well && glovebox_guest_outputs_static_output_finish(output, &summary, err);
}

bool exports_glovebox_guest_run_run(exports_glovebox_guest_run_error_t *err) {
  return scan(err) && query(err) && write(err);
}
