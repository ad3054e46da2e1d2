/* job.pml - the world around job_step, for the model checker spin: two handlers, Azure, the machines and the clock, in every order.
 *
 * What a job does next is not described here: it is the compiled job_step (mind.h). Minutes are the unit of time. In the first CHAOS
 * minutes anything may happen: answers stay away, replies are lost, handlers are killed, reads lag, machines come late or vanish. Then the
 * services answer, and every minute one drive looks. Claims:
 *   P3 never two machines of the job at work; no attempt is begun while the former one's group is there
 *   P2 closed is said only when every group is gone, and deleting always ends
 *   P1 the outcome is set once */
c_decl {
\#include "mind.h"
}

#ifndef CHAOS
#define CHAOS 6
#endif
#ifndef FAULTS
#define FAULTS 2
#endif
#ifndef MISHAPS
#define MISHAPS 1
#endif
#ifndef SECONDS
#define SECONDS 1
#endif
#ifndef WORKING
#define WORKING 0 /* 1: begins with a machine at work */
#endif
#define ATTEMPTS 3

#define ABSENT 0
#define THERE 1
#define LEAVING 2
#define RUNS 1
#define DONE 2
#define FAILED 3
#define ON 1
#define WORKS 2
#define RESTS 3
#define OFF 4

int mind[2], saved; /* numbers: see mind.h */
byte minute;
byte faults = FAULTS; /* that may still happen: answers that stay away, kills, lost replies */
byte mishaps = MISHAPS; /* deployments that fail, machines that vanish */
byte seconds = SECONDS; /* drives of the second handler: a bell, a message delivered twice; the first looks every minute */
byte alone; /* the handler, plus 1, that is between two points where others may come in; 0: none */
bool closed, over, ends, busy[2], stale[2]; /* over: the minutes in which anything may happen */
byte group[ATTEMPTS + 1], lagging[ATTEMPTS + 1], deployment[ATTEMPTS + 1], vm[ATTEMPTS + 1], claim[ATTEMPTS + 1], said[ATTEMPTS + 1];

#define works(a) (vm[a] == WORKS)
#define MIND(change) c_code { struct mind m = mind_at(now.mind[Phandler->me]); change; now.mind[Phandler->me] = mind_keep(&m); }

/* ARM's reads may not know yet, for as long as the design says; what has been seen stays (a replica that lags behind another does so for
 * less than the two looks are apart). */
inline look_group(a, answer)
{
    if
    :: group[a] == ABSENT -> answer = 1
    :: group[a] != ABSENT -> answer = 2; lagging[a] = 0
    :: group[a] != ABSENT && minute <= lagging[a] -> answer = 1
    fi
}

inline look_deployment(a, answer)
{
    if
    :: deployment[a] == 0 -> answer = 1
    :: deployment[a] != 0 -> answer = 2; lagging[a] = 0
    :: deployment[a] != 0 && minute <= lagging[a] -> answer = 1
    fi
}

/* Others come in between drives, and between a save and its acts; and while the second handler is held up, which may be after its looks,
 * and before each of its acts and each call of a creation. */
inline may_go()
{
    (alone == 0 || alone == me + 1)
}

/* Minutes until nothing may be created any more. */
inline look_clock()
{
    MIND(Phandler->left = (short)((m.state.create_until_s - clock_s(now.minute)) / 60))
}

/* Every call may fail, and the handler be killed before or after it. */
#define may_fail faults > 0

/* One look, at what is true at this moment, or not seen at all. */
inline look_now()
{
    answer = 0;
    if
    :: may_fail -> faults--
    :: may_fail -> faults--; goto idle
    :: call == 1 -> MIND(m.seen.zip = YES)
    :: call == 2 -> look_group(mine, answer); MIND(m.seen.group = Phandler->answer)
    :: call == 4 ->
        look_deployment(mine, answer);
        MIND(m.seen.deployment = Phandler->answer);
        if
        :: answer == 2 && deployment[mine] == FAILED -> MIND(m.seen.remedy = REMEDY_SIZE)
        :: answer == 2 && deployment[mine] == DONE -> MIND(m.seen.ready = YES)
        :: else
        fi
    :: call == 8 -> answer = 1 + (claim[mine] != 0); MIND(m.seen.claim = Phandler->answer)
    :: call == 16 ->
        answer = 1 + (vm[mine] != 0);
        MIND(m.seen.vm = Phandler->answer);
        if
        :: vm[mine] == OFF -> MIND(m.seen.off = YES)
        :: else
        fi
    :: call == 32 -> skip
    :: call == 64 ->
        MIND(m.seen.manifest = now.said[Phandler->mine] == 2 ? YES : NO;
             m.seen.reported = now.said[Phandler->mine] != 0 ? YES : NO;
             m.seen.report = now.said[Phandler->mine] == 1 ? OUTCOME_FAILED : OUTCOME_SUCCEEDED)
    fi;
    answer = 0
}

/* The four calls of a creation, each on its own: the clock is looked at right before a PUT, which may arrive up to a minute later. */
inline create()
{
    atomic {
        may_go();
        if
        :: may_fail -> faults--; goto next_act
        :: may_fail -> faults--; goto idle
        :: look_group(mine, answer)
        fi
    };
    if
    :: answer == 1 ->
        atomic {
            may_go();
            look_clock();
            if
            :: left <= 0 -> goto next_act
            :: else
            fi
        };
        atomic {
            may_go();
            look_clock();
            if
            :: left < 0 || group[mine] == LEAVING -> goto next_act
            :: else
            fi;
            if
            :: group[mine] == ABSENT ->
                assert(!closed);
                assert(mine < 2 || group[mine - 1] == ABSENT);
                group[mine] = THERE;
                MIND(now.lagging[Phandler->mine] = (unsigned char)((m.state.create_until_s - clock_s(0)) / 60 + 1))
            :: else
            fi;
            if
            :: may_fail -> faults--; goto next_act /* the reply is lost */
            :: may_fail -> faults--; goto idle
            :: skip
            fi
        }
    :: else
    fi;
    atomic {
        may_go();
        look_deployment(mine, answer);
        look_clock();
        if
        :: answer == 2 -> MIND(m.seen.deployment = YES); goto next_act
        :: answer == 1 && left <= 0 -> goto next_act
        :: else
        fi
    };
    atomic {
        may_go();
        look_clock();
        if
        :: left >= 0 && group[mine] == THERE && deployment[mine] == 0 ->
            deployment[mine] = RUNS
        :: else
        fi;
        if
        :: may_fail -> faults--; goto idle
        :: skip
        fi
    }
}

/* What others can see of a job: the claim and the group. */
inline act_now()
{
    if
    :: may_fail -> faults--
    :: may_fail -> faults--; goto idle
    :: call == 8 ->
        if
        :: claim[mine] == 0 -> claim[mine] = 2
        :: else
        fi
    :: call == 32 ->
        look_group(mine, answer);
        MIND(m.seen.group = Phandler->answer);
        if
        :: answer == 2 && group[mine] == THERE -> group[mine] = LEAVING
        :: else
        fi
    fi;
    answer = 0
}

proctype handler(byte me)
{
    byte answer, todo, mine, call;
    byte begun; /* the minute of its last drive, plus 1 */
    short left;

idle:
    atomic {
        may_go();
        d_step {
            alone = 0;
            busy[me] = false;
            answer = 0;
            todo = 0;
            mine = 0;
            call = 0;
            left = 0;
            mind[me] = 0
        }
    };
end_begin:
    atomic {
        (alone == 0 && !closed && !over && begun != minute + 1 && (me == 0 || seconds > 0)) ->
        d_step {
            seconds = seconds - me;
            alone = me + 1;
            busy[me] = true;
            begun = minute + 1;
            stale[me] = false;
            MIND(mind_load(&m, now.saved, now.minute); Phandler->mine = (unsigned char)m.state.attempt)
        }
    };
turn:
    atomic {
        may_go();
        d_step {
            alone = me + 1;
            todo = 0;
            if
            :: minute > begun + 1 /* the invocation's time is up */
            :: else -> MIND(Phandler->todo = (unsigned char)mind_step(&m, now.minute))
            fi
        };
        if
        :: todo == 0 -> goto idle
        :: todo == 1 -> goto look
        :: else -> goto save
        fi
    };
look:
    atomic {
        may_go();
        MIND(Phandler->call = (unsigned char)mind_first(&m.look));
        if
        :: call == 0 && me == 0 -> goto turn
        :: call == 0 && me == 1 -> alone = 0; goto turn
        :: else
        fi;
        look_now();
        call = 0;
        goto look
    };
save:
    atomic {
        may_go();
        if
        :: stale[me] -> goto idle /* loses the save: its next drive loads again */
        :: else
        fi;
        if
        :: may_fail -> faults--; goto idle
        :: skip
        fi;
        MIND(Phandler->answer = mind_changes_outcome(&m, now.saved); Phandler->mine = (unsigned char)m.next.attempt);
        assert(answer == 0); /* P1: set once */
        if
        :: mine > ATTEMPTS -> goto idle /* further than is looked at here */
        :: else
        fi;
        MIND(now.saved = mind_save(&m); now.closed = m.next.machine == MACHINE_CLOSED);
        stale[1 - me] = busy[1 - me];
        /* P2: closed is said only when all is gone */
        assert(!closed || (group[1] == ABSENT && group[2] == ABSENT && group[3] == ABSENT));
        if
        :: may_fail -> faults--; goto idle /* saved, and it never heard of it */
        :: skip
        fi;
        MIND(Phandler->todo = (unsigned char)mind_saved(&m));
        if
        :: todo == 0 -> goto idle
        :: else -> alone = 0; goto apart
        fi
    };
apart:
    atomic {
        (alone == 0);
        alone = 1 - me;
        goto act
    };
act:
    atomic {
        may_go();
        MIND(Phandler->call = (unsigned char)mind_first(&m.act));
        if
        :: call == 0 -> MIND(mind_private_acts(&m)); goto turn
        :: call == 2 -> goto creation
        :: else
        fi;
        act_now();
        call = 0;
        goto act
    };
creation:
    create();
next_act:
    atomic {
        may_go();
        d_step {
            answer = 0;
            left = 0;
            call = 0
        };
        goto act
    }
}

/* An attempt's machine, and its deletion. */
proctype machine(byte a)
{
end:
    do
    :: atomic { alone == 0 && !over && group[a] == THERE && deployment[a] == RUNS && vm[a] == 0 -> vm[a] = ON }
    :: atomic { alone == 0 && !over && deployment[a] == RUNS && vm[a] != 0 -> deployment[a] = DONE }
    :: atomic { alone == 0 && !over && deployment[a] == RUNS && vm[a] == 0 && mishaps > 0 -> mishaps--; deployment[a] = FAILED }
    :: atomic {
           alone == 0 && !over && vm[a] == ON ->
           if
           :: claim[a] == 0 ->
               claim[a] = 1;
               assert(!works(1) && !works(2) && !works(3)); /* P3 */
               assert(!closed);
               vm[a] = WORKS
           :: claim[a] == 2 -> vm[a] = OFF
           :: claim[a] == 1 -> vm[a] = WORKS /* a reboot */
           fi
       }
    :: atomic { alone == 0 && !over && vm[a] == WORKS -> said[a] = 1; vm[a] = RESTS }
    :: atomic { alone == 0 && !over && vm[a] == WORKS -> said[a] = 2; vm[a] = RESTS }
    :: atomic { alone == 0 && !over && vm[a] == WORKS && mishaps > 0 -> mishaps--; vm[a] = 0; deployment[a] = DONE }
    :: atomic { alone == 0 && !over && group[a] == LEAVING -> group[a] = ABSENT; deployment[a] = 0; vm[a] = 0; lagging[a] = 0 }
    :: closed || over -> break
    od
}

/* Minutes go by at any moment. When the last is over and both drives are, every service answers, and the job must come to its end: that part
 * has one course only, and is played in one go (calm_ends). */
proctype clock()
{
    do
    :: atomic { alone == 0 && !closed && minute < CHAOS -> minute++ }
    :: atomic {
           alone == 0 && !closed && minute == CHAOS && !busy[0] && !busy[1] ->
           over = true;
           c_code { now.ends = calm_ends(now.saved, now.minute, now.group, now.deployment, now.vm, now.claim, now.said, 3); };
           assert(ends); /* P2: deleting always ends */
           break
       }
    :: closed -> break
    od
}

init
{
    atomic {
        c_code {
            struct mind m = {.state = job_accepted(clock_s(0))};
            if (WORKING)
                m.state = mind_working(m.state);
            now.saved = mind_keep(&m);
        };
        if
        :: WORKING -> group[1] = THERE; deployment[1] = DONE; vm[1] = WORKS; claim[1] = 1
        :: else
        fi;
        run handler(0);
        run handler(1);
        run machine(1);
        run machine(2);
        run machine(3);
        run clock()
    }
}
