# SPDX-License-Identifier: Apache-2.0
"""The textbook schedulers on interchangeable processors, written apart from the product so
that a replay can be compared with them job by job. Slow and plain: every pass begins with
the free processors over time, [(from, free), ...], the last step without end."""


class Job:
    def __init__(self, number, submit, run, procs, limit):
        self.number, self.submit, self.procs, self.limit = number, submit, procs, limit
        self.run = min(run, limit)
        self.start = None


def profile(running, now, procs):
    """A run whose limit is reached now counts as over."""
    steps = [(now, procs - sum(j.procs for j in running if j.start + j.limit > now))]
    for j in sorted(running, key=lambda j: j.start + j.limit):
        end = j.start + j.limit
        if end <= now:
            continue
        if end == steps[-1][0]:
            steps[-1] = (end, steps[-1][1] + j.procs)
        else:
            steps.append((end, steps[-1][1] + j.procs))
    return steps


def fits(steps, at, job):
    ends = [s[0] for s in steps[1:]] + [float("inf")]
    return all(free >= job.procs for (begin, free), end in zip(steps, ends)
               if end > at and begin < at + job.limit)


def reserve(steps, at, job):
    out = []
    ends = [s[0] for s in steps[1:]] + [float("inf")]
    for (begin, free), end in zip(steps, ends):
        for a, b in ((begin, min(end, at)), (max(begin, at), min(end, at + job.limit)),
                     (max(begin, at + job.limit), end)):
            if a < b:
                inside = a >= at and b <= at + job.limit
                out.append((a, free - (job.procs if inside else 0)))
    steps[:] = out


def earliest(steps, job):
    return next(at for at, _ in steps if fits(steps, at, job))


def schedule(queue, running, now, procs, policy):
    """One pass: jobs that start now, taken out of the queue."""
    steps = profile(running, now, procs)
    begun = []

    def start(job):
        queue.remove(job)
        reserve(steps, now, job)
        job.start = now
        begun.append(job)

    while queue and steps[0][1] >= queue[0].procs:
        start(queue[0])
    if policy == "fcfs" or len(queue) < 2:
        return begun
    reserve(steps, earliest(steps, queue[0]), queue[0])
    rest = queue[1:]
    if policy == "easy-sjbf":
        rest.sort(key=lambda j: j.limit)
    for job in rest:
        if fits(steps, now, job):
            start(job)
    return begun


class Conservative:
    """Each job has a promised start that only moves forward: when something ends, the waiting
    jobs, in order of submission, are each taken out of the plan and put back at the earliest
    time."""

    def __init__(self, procs):
        self.procs, self.promised = procs, {}

    def plan(self, job, running, now):
        steps = profile(running, now, self.procs)
        for other, at in self.promised.items():
            reserve(steps, at, other)
        self.promised[job] = earliest(steps, job)

    def one_pass(self, queue, running, now, ended):
        for job in queue:
            if ended and job in self.promised:
                del self.promised[job]
                self.plan(job, running, now)
        for job in queue:
            if job not in self.promised:
                self.plan(job, running, now)
        begun = [j for j in queue if self.promised[j] <= now]
        for job in begun:
            job.start = now
            del self.promised[job]
            queue.remove(job)
        return begun


def replay(jobs, procs, policy, ties):
    """Start times of all jobs, which are given in order of submission."""
    queue, running, coming = [], [], list(jobs)
    conservative = Conservative(procs) if policy == "conservative" else None

    def one_pass(now, ended):
        if conservative:
            running.extend(conservative.one_pass(queue, running, now, ended))
        else:
            running.extend(schedule(queue, running, now, procs, policy))

    while coming or running:
        now = min([j.submit for j in coming[:1]] + [j.start + j.run for j in running])
        ending = [j for j in running if j.start + j.run == now]
        if ties == "batch":
            for job in ending:
                running.remove(job)
            while coming and coming[0].submit == now:
                queue.append(coming.pop(0))
            one_pass(now, bool(ending))
        else:
            while coming and coming[0].submit == now:
                queue.append(coming.pop(0))
                one_pass(now, False)
            for job in ending:
                running.remove(job)
                one_pass(now, True)
    return [j.start for j in jobs]
