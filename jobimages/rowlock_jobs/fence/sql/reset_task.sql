-- reset_task: between two runs, everything that a session can hold for the next one. DISCARD ALL without its DISCARD
-- PLANS (they pass nothing on, and planning the finish anew costs more than all of this), in one message. {seed} is a
-- number from -1 to 1: a task that seeded random() must not tell the next one's.
close all;
set session authorization default;
reset role;
reset all;
deallocate all;
unlisten *;
discard temp;
discard sequences;
set seed = {seed};
select pg_catalog.pg_advisory_unlock_all();
