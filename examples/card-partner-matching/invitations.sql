/* glovebox notebook
name = "invitations"
version = "1.0.0"
description = """
For the airline: which of its members the bank would give a card. Its own member numbers; the
bank's bands and standings stay inside."""

[inputs."bank.customers"]
columns = { email = "utf8", income_band = "utf8", standing = "utf8", holds_card = "boolean" }

[inputs."airline.members"]
columns = { member_no = "int64", email = "utf8", opted_in = "boolean" }

[outputs.invitations]
description = "One row for each member to invite."
max_rows = 100_000
columns = ["member_no int64 not null"]
*/

CREATE TABLE output.invitations AS
SELECT m.member_no
FROM airline.members AS m
JOIN bank.customers AS c ON c.email = m.email
WHERE m.opted_in
    AND c.standing = 'good'
    AND NOT c.holds_card
    AND c.income_band IN ('A', 'B', 'C')
ORDER BY m.member_no;
