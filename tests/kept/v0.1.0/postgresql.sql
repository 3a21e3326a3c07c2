--
-- PostgreSQL database dump
--

\restrict QQVeSApBuiKhJO6odEGORV0msVVxXAnN33VKO6QeTINLFTuGbpssht3hfBUfAIy

-- Dumped from database version 15.18 (Debian 15.18-0+deb12u1)
-- Dumped by pg_dump version 15.18 (Debian 15.18-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Name: dbos; Type: SCHEMA; Schema: -; Owner: -
--

CREATE SCHEMA dbos;


--
-- Name: enqueue_workflow(text, text, json[], json, text, text, text, text, bigint, bigint, text, integer, text, text, text, bigint, text); Type: FUNCTION; Schema: dbos; Owner: -
--

CREATE FUNCTION dbos.enqueue_workflow(workflow_name text, queue_name text, positional_args json[] DEFAULT ARRAY[]::json[], named_args json DEFAULT '{}'::json, class_name text DEFAULT NULL::text, config_name text DEFAULT NULL::text, workflow_id text DEFAULT NULL::text, app_version text DEFAULT NULL::text, timeout_ms bigint DEFAULT NULL::bigint, deadline_epoch_ms bigint DEFAULT NULL::bigint, deduplication_id text DEFAULT NULL::text, priority integer DEFAULT NULL::integer, queue_partition_key text DEFAULT NULL::text, authenticated_user text DEFAULT NULL::text, authenticated_roles text DEFAULT NULL::text, delay_until_epoch_ms bigint DEFAULT NULL::bigint, application_name text DEFAULT NULL::text) RETURNS text
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_workflow_id TEXT;
    v_serialized_inputs TEXT;
    v_owner_xid TEXT;
    v_now BIGINT;
    v_recovery_attempts INT4 := 0;
    v_priority INT4;
    v_status TEXT;
BEGIN

    -- Validate required parameters
    IF workflow_name IS NULL OR workflow_name = '' THEN
        RAISE EXCEPTION 'Workflow name cannot be null or empty';
    END IF;
    IF queue_name IS NULL OR queue_name = '' THEN
        RAISE EXCEPTION 'Queue name cannot be null or empty';
    END IF;
    IF named_args IS NOT NULL AND jsonb_typeof(named_args::jsonb) != 'object' THEN
        RAISE EXCEPTION 'Named args must be a JSON object';
    END IF;
    IF workflow_id IS NOT NULL AND workflow_id = '' THEN
        RAISE EXCEPTION 'Workflow ID cannot be an empty string if provided.';
    END IF;
    IF delay_until_epoch_ms IS NOT NULL AND delay_until_epoch_ms < 0 THEN
        RAISE EXCEPTION 'delay_until_epoch_ms must be >= 0';
    END IF;

    v_workflow_id := COALESCE(workflow_id, gen_random_uuid()::TEXT);
    v_owner_xid := gen_random_uuid()::TEXT;
    v_priority := COALESCE(priority, 0);
    v_serialized_inputs := json_build_object(
        'positionalArgs', positional_args,
        'namedArgs', named_args
    )::TEXT;
    v_now := EXTRACT(epoch FROM now()) * 1000;
    v_status := CASE WHEN delay_until_epoch_ms IS NULL THEN 'ENQUEUED' ELSE 'DELAYED' END;

    INSERT INTO "dbos".workflow_status (
        workflow_uuid, status,
        name, class_name, config_name,
        queue_name, deduplication_id, priority, queue_partition_key,
        application_version,
        created_at, updated_at, recovery_attempts,
        workflow_timeout_ms, workflow_deadline_epoch_ms,
        parent_workflow_id, owner_xid, serialization,
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    ) VALUES (
        v_workflow_id, v_status,
        workflow_name, class_name, config_name,
        queue_name, deduplication_id, v_priority, queue_partition_key,
        app_version,
        v_now, v_now, v_recovery_attempts,
        timeout_ms, deadline_epoch_ms,
        NULL, v_owner_xid, 'portable_json',
        authenticated_user, authenticated_roles,
        delay_until_epoch_ms, application_name
    )
    ON CONFLICT (workflow_uuid)
    DO UPDATE SET
        updated_at = EXCLUDED.updated_at;

    INSERT INTO "dbos".workflow_input (
        workflow_uuid, inputs, retention_timestamp
    ) VALUES (
        v_workflow_id, v_serialized_inputs, v_now
    )
    ON CONFLICT (workflow_uuid) DO NOTHING;

    RETURN v_workflow_id;

EXCEPTION
    WHEN unique_violation THEN
        RAISE EXCEPTION 'DBOS queue duplicated'
            USING DETAIL = format('Workflow %s with queue %s and deduplication ID %s already exists', v_workflow_id, queue_name, deduplication_id),
                ERRCODE = 'unique_violation';
END;
$$;


--
-- Name: notifications_function(); Type: FUNCTION; Schema: dbos; Owner: -
--

CREATE FUNCTION dbos.notifications_function() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    payload text := NEW.destination_uuid || '::' || NEW.topic;
BEGIN
    PERFORM pg_notify('dbos_notifications_channel', payload);
    RETURN NEW;
END;
$$;


--
-- Name: send_message(text, json, text, text); Type: FUNCTION; Schema: dbos; Owner: -
--

CREATE FUNCTION dbos.send_message(destination_id text, message json, topic text DEFAULT NULL::text, message_id text DEFAULT NULL::text) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog', 'pg_temp'
    AS $$
DECLARE
    v_topic TEXT := COALESCE(topic, '__null__topic__');
    v_message_id TEXT := COALESCE(message_id, gen_random_uuid()::TEXT);
BEGIN
    INSERT INTO "dbos".notifications (
        destination_uuid, topic, message, message_uuid, serialization
    ) VALUES (
        destination_id, v_topic, message, v_message_id, 'portable_json'
    )
    ON CONFLICT (message_uuid) DO NOTHING;
EXCEPTION
    WHEN foreign_key_violation THEN
        RAISE EXCEPTION 'DBOS non-existent workflow'
            USING DETAIL = format('Destination workflow %s does not exist', destination_id),
                ERRCODE = 'foreign_key_violation';
END;
$$;


SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: application_versions; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.application_versions (
    version_id text NOT NULL,
    version_name text NOT NULL,
    version_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text
);


--
-- Name: dbos_migrations; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.dbos_migrations (
    version bigint NOT NULL
);


--
-- Name: event_dispatch_kv; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.event_dispatch_kv (
    service_name text NOT NULL,
    workflow_fn_name text NOT NULL,
    key text NOT NULL,
    value text,
    update_seq numeric(38,0),
    update_time numeric(38,15)
);


--
-- Name: notifications; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.notifications (
    message_uuid text DEFAULT gen_random_uuid() NOT NULL,
    destination_uuid text NOT NULL,
    topic text,
    message text NOT NULL,
    created_at_epoch_ms bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    serialization text,
    consumed boolean DEFAULT false NOT NULL,
    consumed_by_function_id integer
);


--
-- Name: operation_outputs; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.operation_outputs (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    function_name text DEFAULT ''::text NOT NULL,
    output text,
    error text,
    child_workflow_id text,
    started_at_epoch_ms bigint,
    completed_at_epoch_ms bigint,
    serialization text,
    application_name text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);


--
-- Name: queues; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.queues (
    queue_id text DEFAULT (gen_random_uuid())::text NOT NULL,
    name text NOT NULL,
    concurrency integer,
    worker_concurrency integer,
    rate_limit_max integer,
    rate_limit_period_sec double precision,
    priority_enabled boolean DEFAULT false NOT NULL,
    partition_queue boolean DEFAULT false NOT NULL,
    polling_interval_sec double precision DEFAULT 1.0 NOT NULL,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_name text,
    partition_concurrency integer,
    partition_worker_concurrency integer,
    partition_rate_limit_max integer,
    partition_rate_limit_period_sec double precision
);


--
-- Name: streams; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.streams (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    "offset" integer NOT NULL,
    function_id integer DEFAULT 0 NOT NULL,
    serialization text
);


--
-- Name: workflow_events; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_events (
    workflow_uuid text NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);


--
-- Name: workflow_events_history; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_events_history (
    workflow_uuid text NOT NULL,
    function_id integer NOT NULL,
    key text NOT NULL,
    value text NOT NULL,
    serialization text
);


--
-- Name: workflow_input; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_input (
    workflow_uuid text NOT NULL,
    inputs text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);


--
-- Name: workflow_output; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_output (
    workflow_uuid text NOT NULL,
    output text,
    error text,
    retention_timestamp bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL
);


--
-- Name: workflow_schedules; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_schedules (
    schedule_id text NOT NULL,
    schedule_name text NOT NULL,
    workflow_name text NOT NULL,
    workflow_class_name text,
    schedule text NOT NULL,
    status text DEFAULT 'ACTIVE'::text NOT NULL,
    context text NOT NULL,
    last_fired_at text,
    automatic_backfill boolean DEFAULT false NOT NULL,
    cron_timezone text,
    queue_name text,
    application_name text
);


--
-- Name: workflow_status; Type: TABLE; Schema: dbos; Owner: -
--

CREATE TABLE dbos.workflow_status (
    workflow_uuid text NOT NULL,
    status text,
    name text,
    authenticated_user text,
    assumed_role text,
    authenticated_roles text,
    request text,
    output text,
    error text,
    executor_id text,
    created_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    updated_at bigint DEFAULT ((EXTRACT(epoch FROM now()) * 1000.0))::bigint NOT NULL,
    application_version text,
    application_id text,
    class_name character varying(255) DEFAULT NULL::character varying,
    config_name character varying(255) DEFAULT NULL::character varying,
    recovery_attempts bigint DEFAULT 0,
    queue_name text,
    workflow_timeout_ms bigint,
    workflow_deadline_epoch_ms bigint,
    inputs text,
    started_at_epoch_ms bigint,
    deduplication_id text,
    priority integer DEFAULT 0 NOT NULL,
    queue_partition_key text,
    forked_from text,
    owner_xid text,
    parent_workflow_id text,
    serialization text,
    delay_until_epoch_ms bigint,
    was_forked_from boolean DEFAULT false NOT NULL,
    rate_limited boolean DEFAULT false NOT NULL,
    completed_at bigint,
    attributes jsonb,
    schedule_name text,
    debounce_deadline_epoch_ms bigint,
    is_debounced boolean DEFAULT false NOT NULL,
    application_name text,
    creator_xid text
);


--
-- Name: alembic_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);


--
-- Name: approvals; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.approvals (
    id bigint NOT NULL,
    incident bigint NOT NULL,
    plan character varying(64) NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    answer character varying(16),
    answered_by text,
    answered_at timestamp with time zone,
    comment text DEFAULT ''::text NOT NULL,
    brief json,
    asked integer DEFAULT 1 NOT NULL,
    shown json
);


--
-- Name: approvals_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.approvals_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: approvals_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.approvals_id_seq OWNED BY public.approvals.id;


--
-- Name: autonomy_noted; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.autonomy_noted (
    entry character varying(64) NOT NULL,
    alertname text NOT NULL,
    environment text NOT NULL,
    level character varying(16) NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: autonomy_settings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.autonomy_settings (
    id bigint NOT NULL,
    entry character varying(64) NOT NULL,
    alertname text NOT NULL,
    environment text NOT NULL,
    level character varying(16) NOT NULL,
    hold boolean NOT NULL,
    by text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: autonomy_settings_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.autonomy_settings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: autonomy_settings_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.autonomy_settings_id_seq OWNED BY public.autonomy_settings.id;


--
-- Name: blast_radii; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.blast_radii (
    incident bigint NOT NULL,
    radius json NOT NULL
);


--
-- Name: budgets_spent; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.budgets_spent (
    name text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: chain; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.chain (
    id integer NOT NULL,
    first bigint NOT NULL,
    before character varying(64) NOT NULL,
    last bigint NOT NULL,
    head character varying(64) NOT NULL,
    notified bigint DEFAULT '0'::bigint NOT NULL
);


--
-- Name: clearings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.clearings (
    entry character varying(64) NOT NULL,
    alertname text NOT NULL,
    environment text NOT NULL,
    cleared integer NOT NULL,
    stayed integer NOT NULL,
    delay_seconds integer NOT NULL,
    within_seconds integer NOT NULL,
    source text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: dead_letters; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.dead_letters (
    id bigint NOT NULL,
    received_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    times integer DEFAULT 1 NOT NULL,
    source character varying(16) NOT NULL,
    sender text DEFAULT ''::text NOT NULL,
    ceiling character varying(16) NOT NULL,
    delivery bigint,
    "position" integer,
    reason text NOT NULL,
    hash character varying(64) NOT NULL,
    size integer NOT NULL,
    body bytea NOT NULL,
    replayed_at timestamp with time zone,
    replayed_by text,
    replayed_as bigint
);


--
-- Name: dead_letters_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.dead_letters_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: dead_letters_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.dead_letters_id_seq OWNED BY public.dead_letters.id;


--
-- Name: decisions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.decisions (
    incident bigint NOT NULL,
    decider character varying(64) NOT NULL,
    entry character varying(64),
    reason text NOT NULL,
    "values" json NOT NULL,
    cited json NOT NULL,
    confidence json NOT NULL,
    alternatives json NOT NULL,
    hosts json
);


--
-- Name: deliveries; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.deliveries (
    id bigint NOT NULL,
    received_at timestamp with time zone NOT NULL,
    source character varying(16) NOT NULL,
    ceiling character varying(16) NOT NULL,
    body bytea NOT NULL,
    alerts integer NOT NULL,
    admitted integer DEFAULT 0 NOT NULL,
    done boolean DEFAULT false NOT NULL,
    sender text,
    place text,
    urgency integer
);


--
-- Name: deliveries_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.deliveries_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: deliveries_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.deliveries_id_seq OWNED BY public.deliveries.id;


--
-- Name: evidence; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.evidence (
    incident bigint NOT NULL,
    number integer NOT NULL,
    kind character varying(16) NOT NULL,
    source text NOT NULL,
    title text NOT NULL,
    text text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: feedback; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.feedback (
    id bigint NOT NULL,
    incident bigint NOT NULL,
    "right" boolean NOT NULL,
    by text NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: feedback_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.feedback_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: feedback_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.feedback_id_seq OWNED BY public.feedback.id;


--
-- Name: firings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.firings (
    fingerprint character varying(64) NOT NULL,
    fires boolean DEFAULT false NOT NULL,
    told json NOT NULL,
    ended json NOT NULL,
    quiet_at timestamp with time zone,
    heard_at timestamp with time zone,
    listed_at timestamp with time zone,
    pause_seconds double precision DEFAULT '0'::double precision NOT NULL,
    gone boolean DEFAULT false NOT NULL,
    looks integer DEFAULT 0 NOT NULL,
    again_at timestamp with time zone,
    changed_at timestamp with time zone NOT NULL
);


--
-- Name: greylist; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.greylist (
    node character varying(255) NOT NULL,
    tier character varying(16) NOT NULL,
    joined_at timestamp with time zone,
    since timestamp with time zone,
    looked_at timestamp with time zone,
    above_warning double precision,
    above_critical double precision,
    below_warning double precision,
    below_critical double precision,
    why text DEFAULT ''::text NOT NULL,
    reminded_at timestamp with time zone,
    settled_at timestamp with time zone,
    settled_by text
);


--
-- Name: host_locks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.host_locks (
    host character varying(255) NOT NULL,
    run character varying(32) NOT NULL,
    taken_at timestamp with time zone NOT NULL
);


--
-- Name: incidents; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.incidents (
    id bigint NOT NULL,
    fingerprint character varying(64) NOT NULL,
    activation timestamp with time zone NOT NULL,
    alertname text NOT NULL,
    alert json NOT NULL,
    firing boolean NOT NULL,
    state character varying(16) NOT NULL,
    reason text NOT NULL,
    environment text NOT NULL,
    ceiling character varying(16) NOT NULL,
    requested_by text,
    request json,
    hosts json NOT NULL,
    entry character varying(64),
    level character varying(16),
    joined bigint,
    deliveries integer DEFAULT 1 NOT NULL,
    delivery bigint,
    cancel_requested boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    chosen json,
    cleared_at timestamp with time zone,
    holds integer DEFAULT 0 NOT NULL,
    held_since timestamp with time zone,
    held_until timestamp with time zone,
    sender text,
    woken_at timestamp with time zone
);


--
-- Name: incidents_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.incidents_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: incidents_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.incidents_id_seq OWNED BY public.incidents.id;


--
-- Name: memory; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.memory (
    incident bigint NOT NULL,
    text text NOT NULL
);


--
-- Name: model_calls; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.model_calls (
    id bigint NOT NULL,
    incident bigint,
    at timestamp with time zone NOT NULL,
    round character varying(16) NOT NULL,
    provider character varying(32) NOT NULL,
    model text NOT NULL,
    version text DEFAULT ''::text NOT NULL,
    prompt_hash character varying(64) NOT NULL,
    question character varying(64) NOT NULL,
    prompt text NOT NULL,
    answer text DEFAULT ''::text NOT NULL,
    failure character varying(24),
    detail text DEFAULT ''::text NOT NULL,
    input_tokens integer DEFAULT 0 NOT NULL,
    output_tokens integer DEFAULT 0 NOT NULL,
    money double precision DEFAULT '0'::double precision NOT NULL,
    seconds double precision DEFAULT '0'::double precision NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    finish text DEFAULT ''::text NOT NULL,
    reused bigint
);


--
-- Name: model_calls_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.model_calls_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: model_calls_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.model_calls_id_seq OWNED BY public.model_calls.id;


--
-- Name: outbox; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.outbox (
    id bigint NOT NULL,
    transition bigint NOT NULL,
    receiver text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    due_at timestamp with time zone NOT NULL,
    sent_at timestamp with time zone,
    failed text,
    digest bigint
);


--
-- Name: outbox_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.outbox_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: outbox_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.outbox_id_seq OWNED BY public.outbox.id;


--
-- Name: plans; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.plans (
    incident bigint NOT NULL,
    entry character varying(64) NOT NULL,
    hosts json NOT NULL,
    delegates json NOT NULL,
    variables json NOT NULL,
    content character varying(64) NOT NULL,
    diff character varying(64) NOT NULL,
    hash character varying(64) NOT NULL,
    files json,
    inventory json,
    places json,
    steps json,
    loaded json,
    uncovered json,
    key character varying(32)
);


--
-- Name: plans_incident_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.plans_incident_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: plans_incident_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.plans_incident_seq OWNED BY public.plans.incident;


--
-- Name: predictions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.predictions (
    id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    node character varying(255) NOT NULL,
    by character varying(16) NOT NULL,
    tier character varying(16) NOT NULL,
    expected double precision,
    soonest double precision,
    latest double precision,
    reasons json NOT NULL,
    findings json NOT NULL,
    outcome character varying(16)
);


--
-- Name: predictions_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.predictions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: predictions_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.predictions_id_seq OWNED BY public.predictions.id;


--
-- Name: rounds; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.rounds (
    name character varying(32) NOT NULL,
    due_at timestamp with time zone NOT NULL,
    note text DEFAULT ''::text NOT NULL
);


--
-- Name: runs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.runs (
    id character varying(32) NOT NULL,
    incident bigint NOT NULL,
    purpose character varying(16) NOT NULL,
    attempt integer NOT NULL,
    entry character varying(64) NOT NULL,
    hosts json NOT NULL,
    plan character varying(64),
    worker character varying(64) NOT NULL,
    artifacts text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    deadline timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    outcome character varying(24),
    reason text DEFAULT ''::text NOT NULL,
    stats json,
    results json,
    diff text DEFAULT ''::text NOT NULL,
    diff_hash character varying(64) DEFAULT ''::character varying NOT NULL,
    fidelity json,
    seen json,
    step integer DEFAULT 1 NOT NULL,
    loaded json,
    included json
);


--
-- Name: storms; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.storms (
    receiver text NOT NULL,
    began_at timestamp with time zone NOT NULL,
    told_at timestamp with time zone NOT NULL
);


--
-- Name: switches; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.switches (
    name character varying(32) NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: transitions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.transitions (
    sequence bigint NOT NULL,
    incident bigint,
    at timestamp with time zone NOT NULL,
    actor text NOT NULL,
    action character varying(32) NOT NULL,
    previous character varying(32),
    reason text NOT NULL,
    detail json NOT NULL,
    hash character varying(64) NOT NULL
);


--
-- Name: verdicts; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.verdicts (
    incident bigint NOT NULL,
    level character varying(16) NOT NULL,
    reasons json NOT NULL
);


--
-- Name: verdicts_incident_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.verdicts_incident_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: verdicts_incident_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.verdicts_incident_seq OWNED BY public.verdicts.incident;


--
-- Name: verifications; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.verifications (
    run character varying(32) NOT NULL,
    incident bigint NOT NULL,
    result character varying(16) NOT NULL,
    reason text NOT NULL,
    checks json NOT NULL,
    at timestamp with time zone NOT NULL
);


--
-- Name: waiting; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.waiting (
    number bigint NOT NULL,
    key character varying(64) NOT NULL,
    workflow character varying(16) NOT NULL,
    incident bigint NOT NULL,
    round integer,
    place text NOT NULL,
    urgency integer NOT NULL,
    stage integer NOT NULL,
    ready_at timestamp with time zone NOT NULL,
    worker character varying(64),
    begun_at timestamp with time zone
);


--
-- Name: waiting_number_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.waiting_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: waiting_number_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.waiting_number_seq OWNED BY public.waiting.number;


--
-- Name: workers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.workers (
    id character varying(64) NOT NULL,
    host text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    beat_at timestamp with time zone NOT NULL,
    dead_at timestamp with time zone
);


--
-- Name: approvals id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.approvals ALTER COLUMN id SET DEFAULT nextval('public.approvals_id_seq'::regclass);


--
-- Name: autonomy_settings id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.autonomy_settings ALTER COLUMN id SET DEFAULT nextval('public.autonomy_settings_id_seq'::regclass);


--
-- Name: dead_letters id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dead_letters ALTER COLUMN id SET DEFAULT nextval('public.dead_letters_id_seq'::regclass);


--
-- Name: deliveries id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deliveries ALTER COLUMN id SET DEFAULT nextval('public.deliveries_id_seq'::regclass);


--
-- Name: feedback id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feedback ALTER COLUMN id SET DEFAULT nextval('public.feedback_id_seq'::regclass);


--
-- Name: incidents id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.incidents ALTER COLUMN id SET DEFAULT nextval('public.incidents_id_seq'::regclass);


--
-- Name: model_calls id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_calls ALTER COLUMN id SET DEFAULT nextval('public.model_calls_id_seq'::regclass);


--
-- Name: outbox id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox ALTER COLUMN id SET DEFAULT nextval('public.outbox_id_seq'::regclass);


--
-- Name: plans incident; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.plans ALTER COLUMN incident SET DEFAULT nextval('public.plans_incident_seq'::regclass);


--
-- Name: predictions id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.predictions ALTER COLUMN id SET DEFAULT nextval('public.predictions_id_seq'::regclass);


--
-- Name: verdicts incident; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verdicts ALTER COLUMN incident SET DEFAULT nextval('public.verdicts_incident_seq'::regclass);


--
-- Name: waiting number; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.waiting ALTER COLUMN number SET DEFAULT nextval('public.waiting_number_seq'::regclass);


--
-- Data for Name: application_versions; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.application_versions VALUES ('70482f77-8490-4126-9fdf-5fe62eb88c1e', '2', 1796042405757, 1796042405757, 'runner');


--
-- Data for Name: dbos_migrations; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.dbos_migrations VALUES (125);


--
-- Data for Name: event_dispatch_kv; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: notifications; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: operation_outputs; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 1, 'admit', 'gASILg==', NULL, NULL, 1796042407210, 1796042407227, 'py_pickle', 'runner', 1796042407228);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 2, 'locate', 'gASILg==', NULL, NULL, 1796042407235, 1796042407266, 'py_pickle', 'runner', 1796042407268);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 3, 'gather', 'gASILg==', NULL, NULL, 1796042407275, 1796042407308, 'py_pickle', 'runner', 1796042407309);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 4, 'decide', 'gASILg==', NULL, NULL, 1796042407311, 1796042407331, 'py_pickle', 'runner', 1796042407332);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 5, 'judge', 'gASILg==', NULL, NULL, 1796042407335, 1796042407377, 'py_pickle', 'runner', 1796042407378);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 6, 'rehearse', 'gASILg==', NULL, NULL, 1796042407381, 1796042410830, 'py_pickle', 'runner', 1796042410831);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 7, 'ask', 'gASILg==', NULL, NULL, 1796042410832, 1796042410845, 'py_pickle', 'runner', 1796042410847);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 8, 'carry_out', 'gASILg==', NULL, NULL, 1796042410849, 1796042414664, 'py_pickle', 'runner', 1796042414665);
INSERT INTO dbos.operation_outputs VALUES ('incident-1-remediate', 9, 'confirm', 'gASVBwAAAAAAAACMA2VuZJQu', NULL, NULL, 1796042414669, 1796042414715, 'py_pickle', 'runner', 1796042414717);
INSERT INTO dbos.operation_outputs VALUES ('incident-2-remediate', 1, 'admit', 'gASILg==', NULL, NULL, 1796042415561, 1796042415569, 'py_pickle', 'runner', 1796042415571);
INSERT INTO dbos.operation_outputs VALUES ('incident-2-remediate', 2, 'locate', 'gASILg==', NULL, NULL, 1796042415573, 1796042415600, 'py_pickle', 'runner', 1796042415612);
INSERT INTO dbos.operation_outputs VALUES ('incident-2-remediate', 3, 'gather', 'gASILg==', NULL, NULL, 1796042415614, 1796042415661, 'py_pickle', 'runner', 1796042415663);
INSERT INTO dbos.operation_outputs VALUES ('incident-2-remediate', 4, 'decide', 'gASILg==', NULL, NULL, 1796042415669, 1796042415692, 'py_pickle', 'runner', 1796042415696);
INSERT INTO dbos.operation_outputs VALUES ('incident-2-remediate', 5, 'judge', 'gASJLg==', NULL, NULL, 1796042415698, 1796042415738, 'py_pickle', 'runner', 1796042415740);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 1, 'admit', 'gASILg==', NULL, NULL, 1796042416508, 1796042416516, 'py_pickle', 'runner', 1796042416519);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 2, 'locate', 'gASILg==', NULL, NULL, 1796042416520, 1796042416545, 'py_pickle', 'runner', 1796042416545);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 3, 'gather', 'gASILg==', NULL, NULL, 1796042416546, 1796042416557, 'py_pickle', 'runner', 1796042416558);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 4, 'decide', 'gASILg==', NULL, NULL, 1796042416559, 1796042416566, 'py_pickle', 'runner', 1796042416567);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 5, 'judge', 'gASILg==', NULL, NULL, 1796042416567, 1796042416581, 'py_pickle', 'runner', 1796042416582);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 6, 'rehearse', 'gASILg==', NULL, NULL, 1796042416583, 1796042419622, 'py_pickle', 'runner', 1796042419624);
INSERT INTO dbos.operation_outputs VALUES ('incident-3-remediate', 7, 'ask', 'gASJLg==', NULL, NULL, 1796042419628, 1796042419649, 'py_pickle', 'runner', 1796042419650);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 1, 'admit', 'gASILg==', NULL, NULL, 1796042420667, 1796042420674, 'py_pickle', 'runner', 1796042420675);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 2, 'locate', 'gASILg==', NULL, NULL, 1796042420676, 1796042420704, 'py_pickle', 'runner', 1796042420708);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 3, 'gather', 'gASILg==', NULL, NULL, 1796042420709, 1796042420741, 'py_pickle', 'runner', 1796042420742);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 4, 'decide', 'gASILg==', NULL, NULL, 1796042420743, 1796042420755, 'py_pickle', 'runner', 1796042420756);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 5, 'judge', 'gASILg==', NULL, NULL, 1796042420770, 1796042420804, 'py_pickle', 'runner', 1796042420805);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 6, 'rehearse', 'gASILg==', NULL, NULL, 1796042420806, 1796042420885, 'py_pickle', 'runner', 1796042420886);
INSERT INTO dbos.operation_outputs VALUES ('incident-4-remediate', 7, 'ask', 'gASILg==', NULL, NULL, 1796042420887, 1796042420899, 'py_pickle', 'runner', 1796042420901);


--
-- Data for Name: queues; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.queues VALUES ('8aaae454-6956-4d6c-8838-ca82ac3a4194', 'incidents', NULL, 256, NULL, NULL, true, false, 0.3, 1796042405829, 1796042405826, 'runner', NULL, NULL, NULL, NULL);


--
-- Data for Name: streams; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: workflow_events; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: workflow_events_history; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: workflow_input; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.workflow_input VALUES ('incident-1-remediate', 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwGFlIwGa3dhcmdzlH2UdS4=', 1796042406281);
INSERT INTO dbos.workflow_input VALUES ('incident-2-remediate', 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwKFlIwGa3dhcmdzlH2UdS4=', 1796042415340);
INSERT INTO dbos.workflow_input VALUES ('incident-3-remediate', 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwOFlIwGa3dhcmdzlH2UdS4=', 1796042416292);
INSERT INTO dbos.workflow_input VALUES ('incident-4-remediate', 'gASVGwAAAAAAAAB9lCiMBGFyZ3OUSwSFlIwGa3dhcmdzlH2UdS4=', 1796042420420);


--
-- Data for Name: workflow_output; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.workflow_output VALUES ('incident-1-remediate', 'gAROLg==', NULL, 1796042414726);
INSERT INTO dbos.workflow_output VALUES ('incident-2-remediate', 'gAROLg==', NULL, 1796042415743);
INSERT INTO dbos.workflow_output VALUES ('incident-3-remediate', 'gAROLg==', NULL, 1796042419653);


--
-- Data for Name: workflow_schedules; Type: TABLE DATA; Schema: dbos; Owner: -
--



--
-- Data for Name: workflow_status; Type: TABLE DATA; Schema: dbos; Owner: -
--

INSERT INTO dbos.workflow_status VALUES ('incident-1-remediate', 'SUCCESS', 'remediate', NULL, NULL, NULL, NULL, NULL, NULL, '0811347f9d0046f8a4db99ba8641cb55', 1796042406281, 1796042414726, '2', NULL, NULL, NULL, 1, 'incidents', NULL, NULL, NULL, 1796042407134, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, 1796042414726, 'null', NULL, NULL, false, 'runner', '0ba211f9-001d-441c-b135-b11dec52e410');
INSERT INTO dbos.workflow_status VALUES ('incident-2-remediate', 'SUCCESS', 'remediate', NULL, NULL, NULL, NULL, NULL, NULL, '0811347f9d0046f8a4db99ba8641cb55', 1796042415340, 1796042415743, '2', NULL, NULL, NULL, 1, 'incidents', NULL, NULL, NULL, 1796042415544, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, 1796042415743, 'null', NULL, NULL, false, 'runner', '46142a2d-2fd1-42c0-9b70-53c74c27317d');
INSERT INTO dbos.workflow_status VALUES ('incident-3-remediate', 'SUCCESS', 'remediate', NULL, NULL, NULL, NULL, NULL, NULL, '0811347f9d0046f8a4db99ba8641cb55', 1796042416292, 1796042419653, '2', NULL, NULL, NULL, 1, 'incidents', NULL, NULL, NULL, 1796042416499, NULL, 0, NULL, NULL, NULL, NULL, 'py_pickle', NULL, false, false, 1796042419653, 'null', NULL, NULL, false, 'runner', '6949dad6-a7f5-4e49-8732-e3e5ab56a64f');
INSERT INTO dbos.workflow_status VALUES ('incident-4-remediate', 'PENDING', 'remediate', NULL, NULL, NULL, NULL, NULL, NULL, '0811347f9d0046f8a4db99ba8641cb55', 1796042420420, 1796042420651, '2', NULL, NULL, NULL, 1, 'incidents', NULL, NULL, NULL, 1796042420651, NULL, 0, NULL, NULL, 'cbfc1475-0d8b-4085-a704-cbe94a89f74d', NULL, 'py_pickle', NULL, false, false, NULL, 'null', NULL, NULL, false, 'runner', '3872f58e-5b57-4910-a94c-bc1a74fcef07');


--
-- Data for Name: alembic_version; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.alembic_version VALUES ('0010');


--
-- Data for Name: approvals; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.approvals VALUES (1, 3, '3ff7d57e9a02b73fc57b6aa2f76277cee655011f537d442bfeebbea0dec9d480', 'runner', '2026-11-30 12:40:19.640858+00', '2126-11-06 12:40:19.640858+00', NULL, NULL, NULL, '', '{"title": "Mark a host", "description": "Appends a line to a file.", "risk": "low", "rehearsal": "required", "undo": null, "undo_title": "", "approvers": [], "record": {"fixed": 0, "not_fixed": 0, "unknown": 0, "last": [], "uplift": null}}', 1, '["entry"]');


--
-- Data for Name: autonomy_noted; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: autonomy_settings; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: blast_radii; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.blast_radii VALUES (1, '{"hosts": ["db1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO public.blast_radii VALUES (2, '{"hosts": ["db1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO public.blast_radii VALUES (3, '{"hosts": ["web1"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');
INSERT INTO public.blast_radii VALUES (4, '{"hosts": ["web2"], "delegates": [], "groups": [], "domains": [], "unknown": [], "health": false}');


--
-- Data for Name: budgets_spent; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: chain; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.chain VALUES (1, 1, '0000000000000000000000000000000000000000000000000000000000000000', 31, '5d8aafda9eaeaf756259b850cc42c745a8c57e595ff07cbd883ff5831f4bdb1a', 31);


--
-- Data for Name: clearings; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: dead_letters; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: decisions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.decisions VALUES (1, 'rules', 'cools', 'cools fits by alertname="Cools".', '{}', '[]', '1.0', '[]', '[]');
INSERT INTO public.decisions VALUES (2, 'rules', 'cools', 'cools fits by alertname="Cools".', '{}', '[]', '1.0', '[]', '[]');
INSERT INTO public.decisions VALUES (3, 'rules', 'asks', 'asks fits by alertname="Asks".', '{}', '[]', '1.0', '[]', '[]');
INSERT INTO public.decisions VALUES (4, 'rules', 'runs', 'runs fits by alertname="Runs".', '{}', '[]', '1.0', '[]', '[]');


--
-- Data for Name: deliveries; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.deliveries VALUES (1, '2026-11-30 12:40:02.156241+00', 'webhook', 'auto', '\x7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a2022436f6f6c73222c2022696e7374616e6365223a20226462313a39313030222c202273657276696365223a202273686f70222c20226e223a202231227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34303a30322e3135363138362b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d', 1, 1, true, NULL, 'db1', 0);
INSERT INTO public.deliveries VALUES (2, '2026-11-30 12:40:14.881438+00', 'webhook', 'auto', '\x7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a2022436f6f6c73222c2022696e7374616e6365223a20226462313a39313030222c202273657276696365223a202273686f70222c20226e223a202232227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34303a31342e3838313338342b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d', 1, 1, true, NULL, 'db1', 0);
INSERT INTO public.deliveries VALUES (3, '2026-11-30 12:40:15.96742+00', 'webhook', 'auto', '\x7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a202241736b73222c2022696e7374616e6365223a2022776562313a39313030222c202273657276696365223a202273686f70227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34303a31352e3936373336362b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d', 1, 1, true, NULL, 'web1', 0);
INSERT INTO public.deliveries VALUES (4, '2026-11-30 12:40:19.792532+00', 'webhook', 'auto', '\x7b2276657273696f6e223a202234222c202267726f75704b6579223a20227b7d3a7b7d222c20227265636569766572223a202272756e6e6572222c2022737461747573223a2022666972696e67222c202267726f75704c6162656c73223a207b7d2c2022636f6d6d6f6e4c6162656c73223a207b7d2c2022636f6d6d6f6e416e6e6f746174696f6e73223a207b7d2c202265787465726e616c55524c223a2022222c20227472756e6361746564416c65727473223a20302c2022616c65727473223a205b7b22737461747573223a2022666972696e67222c20226c6162656c73223a207b22616c6572746e616d65223a202252756e73222c2022696e7374616e6365223a2022776562323a39313030222c202273657276696365223a202273686f70227d2c2022616e6e6f746174696f6e73223a207b7d2c20227374617274734174223a2022323032362d31312d33305431323a34303a31392e3739323437392b30303a3030222c2022656e64734174223a2022303030312d30312d30315430303a30303a30305a222c202267656e657261746f7255524c223a2022222c202266696e6765727072696e74223a2022227d5d7d', 1, 1, true, NULL, 'web2', 0);


--
-- Data for Name: evidence; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.evidence VALUES (1, 1, 'alert', 'webhook', 'Alert Cools', 'status: firing, since 2026-11-30 12:40:02 UTC
label alertname: Cools
label instance: db1:9100
label n: 1
label service: shop', '2026-11-30 12:40:07.284223+00');
INSERT INTO public.evidence VALUES (1, 2, 'inventory', 'inventory', 'Hosts', 'db1 is in ungrouped', '2026-11-30 12:40:07.284223+00');
INSERT INTO public.evidence VALUES (1, 3, 'history', 'incidents', 'Similar incidents', 'no similar incident is on record', '2026-11-30 12:40:07.284223+00');
INSERT INTO public.evidence VALUES (1, 4, 'runbook', 'README.md', 'Runbook of cools', 'Meaning: A line is written.', '2026-11-30 12:40:07.284223+00');
INSERT INTO public.evidence VALUES (2, 1, 'alert', 'webhook', 'Alert Cools', 'status: firing, since 2026-11-30 12:40:14 UTC
label alertname: Cools
label instance: db1:9100
label n: 2
label service: shop', '2026-11-30 12:40:15.631066+00');
INSERT INTO public.evidence VALUES (2, 2, 'inventory', 'inventory', 'Hosts', 'db1 is in ungrouped', '2026-11-30 12:40:15.631066+00');
INSERT INTO public.evidence VALUES (2, 3, 'history', 'incidents', 'Similar incidents', '#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.', '2026-11-30 12:40:15.631066+00');
INSERT INTO public.evidence VALUES (2, 4, 'runbook', 'README.md', 'Runbook of cools', 'Meaning: A line is written.', '2026-11-30 12:40:15.631066+00');
INSERT INTO public.evidence VALUES (3, 1, 'alert', 'webhook', 'Alert Asks', 'status: firing, since 2026-11-30 12:40:15 UTC
label alertname: Asks
label instance: web1:9100
label service: shop', '2026-11-30 12:40:16.549467+00');
INSERT INTO public.evidence VALUES (3, 2, 'inventory', 'inventory', 'Hosts', 'web1 is in ungrouped', '2026-11-30 12:40:16.549467+00');
INSERT INTO public.evidence VALUES (3, 3, 'history', 'incidents', 'Similar incidents', '#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.', '2026-11-30 12:40:16.549467+00');
INSERT INTO public.evidence VALUES (3, 4, 'runbook', 'README.md', 'Runbook of asks', 'Meaning: A line is written.', '2026-11-30 12:40:16.549467+00');
INSERT INTO public.evidence VALUES (4, 1, 'alert', 'webhook', 'Alert Runs', 'status: firing, since 2026-11-30 12:40:19 UTC
label alertname: Runs
label instance: web2:9100
label service: shop', '2026-11-30 12:40:20.713373+00');
INSERT INTO public.evidence VALUES (4, 2, 'inventory', 'inventory', 'Hosts', 'web2 is in ungrouped
  runner_depends_on: [''db1'']', '2026-11-30 12:40:20.713373+00');
INSERT INTO public.evidence VALUES (4, 3, 'history', 'incidents', 'Similar incidents', '#1, 0s ago, Cools: cools on db1, fixed: Fixed: every check held for 0s, 0s after the run.', '2026-11-30 12:40:20.713373+00');
INSERT INTO public.evidence VALUES (4, 4, 'runbook', 'README.md', 'Runbook of runs', 'Meaning: A line is written.', '2026-11-30 12:40:20.713373+00');


--
-- Data for Name: feedback; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: firings; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.firings VALUES ('2f1fbb7206e05c98', true, '{"2026-11-30T12:40:02.156000+00:00": "2026-11-30T12:40:02.156000+00:00"}', '[]', NULL, '2026-11-30 12:40:02.156241+00', NULL, 0, false, 0, NULL, '2026-11-30 12:40:02.156241+00');
INSERT INTO public.firings VALUES ('6f95898c6a20a459', true, '{"2026-11-30T12:40:14.881000+00:00": "2026-11-30T12:40:14.881000+00:00"}', '[]', NULL, '2026-11-30 12:40:14.881438+00', NULL, 0, false, 0, NULL, '2026-11-30 12:40:14.881438+00');
INSERT INTO public.firings VALUES ('b5e97828aacb66c7', true, '{"2026-11-30T12:40:15.967000+00:00": "2026-11-30T12:40:15.967000+00:00"}', '[]', NULL, '2026-11-30 12:40:15.96742+00', NULL, 0, false, 0, NULL, '2026-11-30 12:40:15.96742+00');
INSERT INTO public.firings VALUES ('607f99cdd4ce7064', true, '{"2026-11-30T12:40:19.792000+00:00": "2026-11-30T12:40:19.792000+00:00"}', '[]', NULL, '2026-11-30 12:40:19.792532+00', NULL, 0, false, 0, NULL, '2026-11-30 12:40:19.792532+00');


--
-- Data for Name: greylist; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: host_locks; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.host_locks VALUES ('web2', '5f6a6de6be224b469fb0f896481053d0', '2026-11-30 12:40:20.985696+00');


--
-- Data for Name: incidents; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.incidents VALUES (1, '2f1fbb7206e05c98', '2026-11-30 12:40:05.974747+00', 'Cools', '{"fingerprint": "2f1fbb7206e05c98", "status": "firing", "labels": {"alertname": "Cools", "instance": "db1:9100", "service": "shop", "n": "1"}, "annotations": {}, "starts_at": "2026-11-30T12:40:02.156000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}', true, 'fixed', 'Fixed: every check held for 0s, 0s after the run.', 'test', 'auto', NULL, 'null', '["db1"]', 'cools', 'auto', NULL, 1, 1, false, '2026-11-30 12:40:05.974747+00', '2026-11-30 12:40:14.699787+00', '{}', NULL, 0, NULL, NULL, NULL, NULL);
INSERT INTO public.incidents VALUES (2, '6f95898c6a20a459', '2026-11-30 12:40:15.22502+00', 'Cools', '{"fingerprint": "6f95898c6a20a459", "status": "firing", "labels": {"alertname": "Cools", "instance": "db1:9100", "service": "shop", "n": "2"}, "annotations": {}, "starts_at": "2026-11-30T12:40:14.881000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}', true, 'held', 'held until 2026-11-30 13:10:10 UTC: level observe: cools ran on db1 4s ago, needs 30m between runs.', 'test', 'auto', NULL, 'null', '["db1"]', 'cools', 'observe', NULL, 1, 2, false, '2026-11-30 12:40:15.22502+00', '2026-11-30 12:40:15.736416+00', '{}', NULL, 1, '2026-11-30 12:40:15.735024+00', '2026-11-30 13:10:10.892978+00', NULL, NULL);
INSERT INTO public.incidents VALUES (3, 'b5e97828aacb66c7', '2026-11-30 12:40:16.235766+00', 'Asks', '{"fingerprint": "b5e97828aacb66c7", "status": "firing", "labels": {"alertname": "Asks", "instance": "web1:9100", "service": "shop"}, "annotations": {}, "starts_at": "2026-11-30T12:40:15.967000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}', true, 'waiting', 'approval 1: asks on web1: 1 host in no group', 'test', 'auto', NULL, 'null', '["web1"]', 'asks', 'approve', NULL, 1, 3, false, '2026-11-30 12:40:16.235766+00', '2026-11-30 12:40:19.646297+00', '{}', NULL, 0, NULL, NULL, NULL, NULL);
INSERT INTO public.incidents VALUES (4, '607f99cdd4ce7064', '2026-11-30 12:40:20.27849+00', 'Runs', '{"fingerprint": "607f99cdd4ce7064", "status": "firing", "labels": {"alertname": "Runs", "instance": "web2:9100", "service": "shop"}, "annotations": {}, "starts_at": "2026-11-30T12:40:19.792000+00:00", "ends_at": null, "generator_url": "", "receiver": "runner", "source": "webhook", "undated": false, "late": false, "contradictions": [], "notes": []}', true, 'running', 'runs on web2, attempt 1', 'test', 'auto', NULL, 'null', '["web2"]', 'runs', 'auto', NULL, 1, 4, false, '2026-11-30 12:40:20.27849+00', '2026-11-30 12:40:20.989866+00', '{}', NULL, 0, NULL, NULL, NULL, NULL);


--
-- Data for Name: memory; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.memory VALUES (1, 'Cools cools fixed Fixed every check held for 0s 0s after the run db1 alertname Cools instance db1 9100 n 1 service shop');


--
-- Data for Name: model_calls; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: outbox; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: plans; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.plans VALUES (1, 'cools', '["db1"]', '[]', '{"mark_text": "shop"}', '11c2624769ba23982278033bad9ec331e721f71ea832e180dc4cee9e36232ce1', 'd020e5727dd5cfba1d0a4a0516432409d5fcffbbac8cea19be18d4a31331a98c', '276c86a0cf7f5217703152d6930f669aaa7eae3ccf8d337fb5eef7230ed966d1', '{"playbooks/cools/entry.yml": "472848e7a5e0ea13a5f1eba355b91d2014cf8e6c0c6ea134f4011f4d90f88a53", "playbooks/cools/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}', '{"db1": {"ansible_connection": "aaa272545c113d64", "ansible_python_interpreter": "bb249666c01bccd2"}}', '{}', '[]', '{"ansible-core": "2.19.14", "jinja2": "3.1.6"}', '[]', '6ab99ce6cf904a2198e1441e10dff67d');
INSERT INTO public.plans VALUES (3, 'asks', '["web1"]', '[]', '{"mark_text": "shop"}', '698d48969b981be8ded862d61dc5e31ae9f80f7c2dcfd26bd0a302b1588ccfea', 'ed6dc2db5a019f51ba111455a1afea822e93184cab8afd5671f572e74c7f99a9', '3ff7d57e9a02b73fc57b6aa2f76277cee655011f537d442bfeebbea0dec9d480', '{"playbooks/asks/entry.yml": "4a3f49eb08f3cbdbfcac035813c6ddfc4f21adc66ca2cb2820cf573b6efcde49", "playbooks/asks/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}', '{"web1": {"ansible_connection": "1d9a2fe22b572729", "ansible_python_interpreter": "ba1e738cf8519886"}}', '{}', '[]', '{"ansible-core": "2.19.14", "jinja2": "3.1.6"}', '[]', '7461197b1ccd87f3d567cd8a5047258c');
INSERT INTO public.plans VALUES (4, 'runs', '["web2"]', '[]', '{"mark_text": "shop"}', '3ee0956cb9fa12548cd02f9f24037cb4b9e027fa9cc52e8367ad909c2af9347f', '', 'c4e59aade58207134074f38fd8e8d6cba43851259938f39d5144a84427783e9b', '{"playbooks/runs/entry.yml": "72d07eef0ad86f4cd1e15ddbfe6d47970a878c9c965bdd6b468fb5c6dc765886", "playbooks/runs/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964", "roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd"}', '{"web2": {"ansible_connection": "253baeb8f049cc4e", "ansible_python_interpreter": "4fad5476aea4cde4"}}', '{}', '[]', '{"ansible-core": "2.19.14", "jinja2": "3.1.6"}', '[]', 'c55bdde898b66dcb71c18dd15ee6ea56');


--
-- Data for Name: predictions; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: rounds; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: runs; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.runs VALUES ('ce2322b0197d49a59711dcae8f3d9ee1', 1, 'rehearsal', 1, 'cools', '["db1"]', '9aefbf9030d1bda9502a99726b6818c76bc20f156508711882762ff54b80f6b4', '0811347f9d0046f8a4db99ba8641cb55', '/tmp/runner-kept/postgresql/var/artifacts/ce2322b0197d49a59711dcae8f3d9ee1', '2026-11-30 12:40:08.254333+00', '2026-11-30 12:41:08.254333+00', '2026-11-30 12:40:10.809378+00', 'changed', '1 task changed db1; not shown: mark : Count the run', '{"db1": {"ok": 3, "changed": 1, "failures": 0, "dark": 0, "skipped": 1, "ignored": 0, "rescued": 0}}', '{"marked": true}', '# db1 · mark : Write the text
--- /tmp/runner-kept/postgresql/marked-db1 (content)
+++ /tmp/runner-kept/postgresql/marked-db1 (content)
@@ -0,0 +1 @@
+shop 
# db1 · mark : Count the run
(not shown: check mode skipped it)', 'd020e5727dd5cfba1d0a4a0516432409d5fcffbbac8cea19be18d4a31331a98c', '[{"task": "mark : Write the text", "kind": "shown", "hosts": 1}, {"task": "mark : Count the run", "kind": "skipped", "hosts": 1}]', '["db1"]', 1, '{"/tmp/runner-kept/postgresql/playbooks/cools/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "/tmp/runner-kept/postgresql/roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd", "/tmp/runner-kept/postgresql/roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964"}', '[]');
INSERT INTO public.runs VALUES ('eb9fc74a82e04fcba0fdd97d05a54c59', 1, 'remediation', 1, 'cools', '["db1"]', '276c86a0cf7f5217703152d6930f669aaa7eae3ccf8d337fb5eef7230ed966d1', '0811347f9d0046f8a4db99ba8641cb55', '/tmp/runner-kept/postgresql/var/artifacts/eb9fc74a82e04fcba0fdd97d05a54c59', '2026-11-30 12:40:10.892978+00', '2026-11-30 12:41:10.892978+00', '2026-11-30 12:40:14.643896+00', 'changed', '2 tasks changed db1', '{"db1": {"ok": 4, "changed": 2, "failures": 0, "dark": 0, "skipped": 0, "ignored": 0, "rescued": 0}}', '{"marked": true}', '# db1 · mark : Write the text
--- /tmp/runner-kept/postgresql/marked-db1 (content)
+++ /tmp/runner-kept/postgresql/marked-db1 (content)
@@ -0,0 +1 @@
+shop 
--- /tmp/runner-kept/postgresql/marked-db1 (file attributes)
+++ /tmp/runner-kept/postgresql/marked-db1 (file attributes)
@@ -1,3 +1,3 @@
 {
- "mode": "0644"
+ "mode": "0600"
 }
# db1 · mark : Count the run
(changed; ansible.builtin.raw gives no diff)', '11295d69fa8f72d44ef14535ad24afb398855de4ef8472cb6b9968231b45f12c', '[]', '["db1"]', 1, '{}', '[]');
INSERT INTO public.runs VALUES ('23d42c47844944e08768ea083f323af9', 3, 'rehearsal', 1, 'asks', '["web1"]', 'cc6336f59c8abaa7029a9d39855d99fc3a2d66656b525e1d88d80d125c65d1b8', '0811347f9d0046f8a4db99ba8641cb55', '/tmp/runner-kept/postgresql/var/artifacts/23d42c47844944e08768ea083f323af9', '2026-11-30 12:40:16.622008+00', '2026-11-30 12:41:16.622008+00', '2026-11-30 12:40:19.600235+00', 'changed', '1 task changed web1; not shown: mark : Count the run', '{"web1": {"ok": 3, "changed": 1, "failures": 0, "dark": 0, "skipped": 1, "ignored": 0, "rescued": 0}}', '{"marked": true}', '# web1 · mark : Write the text
--- /tmp/runner-kept/postgresql/marked-web1 (content)
+++ /tmp/runner-kept/postgresql/marked-web1 (content)
@@ -0,0 +1 @@
+shop 
# web1 · mark : Count the run
(not shown: check mode skipped it)', 'ed6dc2db5a019f51ba111455a1afea822e93184cab8afd5671f572e74c7f99a9', '[{"task": "mark : Write the text", "kind": "shown", "hosts": 1}, {"task": "mark : Count the run", "kind": "skipped", "hosts": 1}]', '["web1"]', 1, '{"/tmp/runner-kept/postgresql/playbooks/asks/playbook.yml": "cc65a391e6e562de6d83f48a4156ec8e17fbb4963c55da8928258cebc0db88eb", "/tmp/runner-kept/postgresql/roles/mark/tasks/main.yml": "204b817963d6b889659f1e2076d2702a92345fdcc1a3b61aae7bc51eae0f93fd", "/tmp/runner-kept/postgresql/roles/mark/meta/argument_specs.yml": "c7f91498a737ccedfc5f78ba6e07df7c0205f3ca9b7e439a4157d1ad5efc6964"}', '[]');
INSERT INTO public.runs VALUES ('5f6a6de6be224b469fb0f896481053d0', 4, 'remediation', 1, 'runs', '["web2"]', 'c4e59aade58207134074f38fd8e8d6cba43851259938f39d5144a84427783e9b', '0811347f9d0046f8a4db99ba8641cb55', '/tmp/runner-kept/postgresql/var/artifacts', '2026-11-30 12:40:20.985696+00', '2026-11-30 12:42:20.985696+00', NULL, NULL, '', NULL, NULL, '', '', NULL, NULL, 1, NULL, NULL);


--
-- Data for Name: storms; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: switches; Type: TABLE DATA; Schema: public; Owner: -
--



--
-- Data for Name: transitions; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.transitions VALUES (1, 1, '2026-11-30 12:40:05.974747+00', 'runner', 'admitted', NULL, 'Cools is firing (received from webhook)', '{"alert": "Cools", "source": "webhook"}', 'c1110e36dc8120710503aee5d7a73c9c36c55bbf4ca15f49ebe04510f0e39cd7');
INSERT INTO public.transitions VALUES (2, 1, '2026-11-30 12:40:07.264244+00', 'runner', 'located', 'admitted', 'db1 is the inventory host of instance="db1:9100", by its name.', '{}', '071d0b8add9cb56fa48cc24f33f1d50b114b84c57d35338dd1cda1f8044583b9');
INSERT INTO public.transitions VALUES (3, 1, '2026-11-30 12:40:07.306323+00', 'runner', 'gathered', 'located', '4 items of evidence', '{}', 'b277a2d3650c2d1298f7fa9530f8e973932f63b15c48d928bd94e8be8ead3435');
INSERT INTO public.transitions VALUES (4, 1, '2026-11-30 12:40:07.329358+00', 'runner', 'decided', 'gathered', 'cools fits by alertname="Cools".', '{"entry": "cools", "decider": "rules"}', '80516e5d37836cc048928a4fb4b75b88fac29f1aa652e386558a8b8a80e061be');
INSERT INTO public.transitions VALUES (5, 1, '2026-11-30 12:40:07.376648+00', 'runner', 'judged', 'decided', 'level auto: nothing holds it back', '{}', 'b49f9b5a11407e74201cf272727d13d2bc43b0b3c024b2552ef418fcc03cfe5a');
INSERT INTO public.transitions VALUES (6, 1, '2026-11-30 12:40:10.828974+00', 'runner', 'rehearsed', 'judged', 'check mode ended changed, 50% of 2 changes shown: 1 task changed db1; not shown: mark : Count the run', '{"plan": "276c86a0cf7f5217703152d6930f669aaa7eae3ccf8d337fb5eef7230ed966d1", "outcome": "changed", "passed_over": []}', '26bcca2da1e1a8d0418e5bc7b22b2e517cdce84cbaf8221f77ecb213c9cf1203');
INSERT INTO public.transitions VALUES (7, 1, '2026-11-30 12:40:10.843052+00', 'runner', 'approved', 'rehearsed', 'level auto: no person is asked', '{}', '3bf84a49da1ae5569eb3d25e2fbec8b25248974fb214adbba43779eae4ad3e63');
INSERT INTO public.transitions VALUES (8, 1, '2026-11-30 12:40:10.896545+00', 'runner', 'running', 'approved', 'cools on db1, attempt 1', '{}', 'c7cd5f8ada399689e9311fc591de68113e27377b28b9c23d3eeb8dd21f114ccd');
INSERT INTO public.transitions VALUES (9, 1, '2026-11-30 12:40:14.657726+00', 'runner', 'verifying', 'running', 'cools ended changed: 2 tasks changed db1', '{"run": "eb9fc74a82e04fcba0fdd97d05a54c59", "outcome": "changed"}', 'e601571ea1146dd1be16e5b2a09d9d4556681a902d6f9d88de8b39019eb94b55');
INSERT INTO public.transitions VALUES (10, 1, '2026-11-30 12:40:14.701981+00', 'runner', 'fixed', 'verifying', 'Fixed: every check held for 0s, 0s after the run.', '{"run": "eb9fc74a82e04fcba0fdd97d05a54c59"}', 'ea661f45b61004acadf3226ae20cf4942552455d71f0a5ba9b6e202f9f6bb2de');
INSERT INTO public.transitions VALUES (11, 2, '2026-11-30 12:40:15.22502+00', 'runner', 'admitted', NULL, 'Cools is firing (received from webhook)', '{"alert": "Cools", "source": "webhook"}', 'd4b718ba26e4da3872d7dc56793c8a37cfcd178e5f90470e872d83bca6ef4511');
INSERT INTO public.transitions VALUES (12, 2, '2026-11-30 12:40:15.593692+00', 'runner', 'located', 'admitted', 'db1 is the inventory host of instance="db1:9100", by its name.', '{}', '765d87b36b3a17b5374757578e9d89f875ca9e4db173627c0cd1cd0e7873a0a9');
INSERT INTO public.transitions VALUES (13, 2, '2026-11-30 12:40:15.657924+00', 'runner', 'gathered', 'located', '4 items of evidence', '{}', 'c9d6ff73d7847701c0f2dcd071ccc5dafe63672ea8e77d959f1ccb2c4ca8a9d0');
INSERT INTO public.transitions VALUES (14, 2, '2026-11-30 12:40:15.691483+00', 'runner', 'decided', 'gathered', 'cools fits by alertname="Cools".', '{"entry": "cools", "decider": "rules"}', 'a78dbc5f22ab9687237067140db06cf1c455b3cd4e58288797e2defc8bb4a380');
INSERT INTO public.transitions VALUES (15, 2, '2026-11-30 12:40:15.730768+00', 'runner', 'judged', 'decided', 'level observe: cools ran on db1 4s ago, needs 30m between runs.', '{}', '90b9665c25bd32903184e4cf769495ee93a7d1f4dd6f1cf0194e5830eceda726');
INSERT INTO public.transitions VALUES (16, 2, '2026-11-30 12:40:15.737809+00', 'runner', 'held', 'judged', 'held until 2026-11-30 13:10:10 UTC: level observe: cools ran on db1 4s ago, needs 30m between runs.', '{}', '5465e83ac1f25ef71aa08d83364631cae7cb9f3c70fe140e55e8a29ea809d27a');
INSERT INTO public.transitions VALUES (17, 3, '2026-11-30 12:40:16.235766+00', 'runner', 'admitted', NULL, 'Asks is firing (received from webhook)', '{"alert": "Asks", "source": "webhook"}', '4677a14ab0711037a2b61d481d2cd130800cda8d9c4cba3dd6211e997bbc09b7');
INSERT INTO public.transitions VALUES (18, 3, '2026-11-30 12:40:16.543956+00', 'runner', 'located', 'admitted', 'web1 is the inventory host of instance="web1:9100", by its name.', '{}', 'ad6c63cb00ff505bd8ea8b618c3c23939bf0b82e0e9e6213463edc735eed599a');
INSERT INTO public.transitions VALUES (19, 3, '2026-11-30 12:40:16.556588+00', 'runner', 'gathered', 'located', '4 items of evidence', '{}', 'cad15da2b19c5f32b4abfa654694c79ddedec85dcfbbbcc15361fd9d5de98751');
INSERT INTO public.transitions VALUES (20, 3, '2026-11-30 12:40:16.565277+00', 'runner', 'decided', 'gathered', 'asks fits by alertname="Asks".', '{"entry": "asks", "decider": "rules"}', '494600f08441fc9cc1ab43431e2821c13cb635e2d8aaa060c159496c9f50902d');
INSERT INTO public.transitions VALUES (21, 3, '2026-11-30 12:40:16.581003+00', 'runner', 'judged', 'decided', 'level approve: Entry asks allows approve.', '{}', '365c72b091b48b5de28138ba4e46d536acf8bb2d8d5d1f0111297dfae6ddd583');
INSERT INTO public.transitions VALUES (22, 3, '2026-11-30 12:40:19.621287+00', 'runner', 'rehearsed', 'judged', 'check mode ended changed, 50% of 2 changes shown: 1 task changed web1; not shown: mark : Count the run', '{"plan": "3ff7d57e9a02b73fc57b6aa2f76277cee655011f537d442bfeebbea0dec9d480", "outcome": "changed", "passed_over": []}', '109e52e771ced7623ba0bab1252357f46c57d527a4cd941cb4dc339ee71cd903');
INSERT INTO public.transitions VALUES (23, 3, '2026-11-30 12:40:19.648481+00', 'runner', 'waiting', 'rehearsed', 'approval 1: asks on web1: 1 host in no group', '{"approval": 1, "plan": "3ff7d57e9a02b73fc57b6aa2f76277cee655011f537d442bfeebbea0dec9d480"}', '4a86523eb53f2e5684ffc165452c710c6a8cd3cd0ece7afcc939912c77842eca');
INSERT INTO public.transitions VALUES (24, 4, '2026-11-30 12:40:20.27849+00', 'runner', 'admitted', NULL, 'Runs is firing (received from webhook)', '{"alert": "Runs", "source": "webhook"}', '95ab108ef108061e0d7b4beb04a8c82c9ee156ecb679d4694b790012bfb4124b');
INSERT INTO public.transitions VALUES (25, 4, '2026-11-30 12:40:20.700882+00', 'runner', 'located', 'admitted', 'web2 is the inventory host of instance="web2:9100", by its name.', '{}', '0d1628345dd44ff0967e7dfcbdf314037228d78ad5d75f61ec17e59026ab6c56');
INSERT INTO public.transitions VALUES (26, 4, '2026-11-30 12:40:20.738517+00', 'runner', 'gathered', 'located', '4 items of evidence', '{}', 'c701baaf12d1683f42f38eb067d6d77b24bc28270a2b80608b87758f1f793093');
INSERT INTO public.transitions VALUES (27, 4, '2026-11-30 12:40:20.753946+00', 'runner', 'decided', 'gathered', 'runs fits by alertname="Runs".', '{"entry": "runs", "decider": "rules"}', '01da82adb7f36aca193280eea6987b0412c13830480a446f9afbd95c2d186ab8');
INSERT INTO public.transitions VALUES (28, 4, '2026-11-30 12:40:20.803943+00', 'runner', 'judged', 'decided', 'level auto: nothing holds it back', '{}', 'f87451656dad16ee441f51f370f7b93efc6eb7482e40053bbd57677d6e71b080');
INSERT INTO public.transitions VALUES (29, 4, '2026-11-30 12:40:20.884135+00', 'runner', 'rehearsed', 'judged', 'no rehearsal: the entry''s README says why', '{"plan": "c4e59aade58207134074f38fd8e8d6cba43851259938f39d5144a84427783e9b", "outcome": null, "passed_over": []}', '8af3a4d2019e0f552c10951c1fa894712fa2facf8281a579b796004d135a5cb3');
INSERT INTO public.transitions VALUES (30, 4, '2026-11-30 12:40:20.898168+00', 'runner', 'approved', 'rehearsed', 'level auto: no person is asked', '{}', '5fabd7e3ce158118ab2341df2042ed4c7610b6c094d249564677109c4676a51a');
INSERT INTO public.transitions VALUES (31, 4, '2026-11-30 12:40:20.990961+00', 'runner', 'running', 'approved', 'runs on web2, attempt 1', '{}', '5d8aafda9eaeaf756259b850cc42c745a8c57e595ff07cbd883ff5831f4bdb1a');


--
-- Data for Name: verdicts; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verdicts VALUES (1, 'auto', '[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry cools allows auto."}]');
INSERT INTO public.verdicts VALUES (2, 'observe', '[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry cools allows auto."}, {"rule": "cooldown", "level": "observe", "text": "cools ran on db1 4s ago, needs 30m between runs."}]');
INSERT INTO public.verdicts VALUES (3, 'approve', '[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "approve", "text": "Entry asks allows approve."}]');
INSERT INTO public.verdicts VALUES (4, 'auto', '[{"rule": "configuration", "level": "auto", "text": "runner.yml allows auto for everything."}, {"rule": "command_line", "level": "auto", "text": "The command line or source allows auto."}, {"rule": "hosts", "level": "auto", "text": "No host within reach sets runner_level, so the inventory allows auto."}, {"rule": "entry", "level": "auto", "text": "Entry runs allows auto."}]');


--
-- Data for Name: verifications; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.verifications VALUES ('eb9fc74a82e04fcba0fdd97d05a54c59', 1, 'fixed', 'Fixed: every check held for 0s, 0s after the run.', '[{"kind": "result", "target": "marked", "result": "fixed", "seen": "the play reported it"}]', '2026-11-30 12:40:14.692895+00');


--
-- Data for Name: waiting; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.waiting VALUES (4, 'incident-4-remediate', 'remediate', 4, NULL, 'web2', 0, 2, '2026-11-30 12:40:20.280344+00', '0811347f9d0046f8a4db99ba8641cb55', '2026-11-30 12:40:20.40661+00');


--
-- Data for Name: workers; Type: TABLE DATA; Schema: public; Owner: -
--

INSERT INTO public.workers VALUES ('0811347f9d0046f8a4db99ba8641cb55', 'vm', '2026-11-30 12:40:05.700194+00', '2026-11-30 12:40:23.410804+00', NULL);


--
-- Name: approvals_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.approvals_id_seq', 1, true);


--
-- Name: autonomy_settings_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.autonomy_settings_id_seq', 1, false);


--
-- Name: dead_letters_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.dead_letters_id_seq', 1, false);


--
-- Name: deliveries_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.deliveries_id_seq', 4, true);


--
-- Name: feedback_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.feedback_id_seq', 1, false);


--
-- Name: incidents_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.incidents_id_seq', 4, true);


--
-- Name: model_calls_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.model_calls_id_seq', 1, false);


--
-- Name: outbox_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.outbox_id_seq', 1, false);


--
-- Name: plans_incident_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.plans_incident_seq', 1, false);


--
-- Name: predictions_id_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.predictions_id_seq', 1, false);


--
-- Name: verdicts_incident_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.verdicts_incident_seq', 1, false);


--
-- Name: waiting_number_seq; Type: SEQUENCE SET; Schema: public; Owner: -
--

SELECT pg_catalog.setval('public.waiting_number_seq', 4, true);


--
-- Name: application_versions application_versions_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_pkey PRIMARY KEY (version_id);


--
-- Name: application_versions application_versions_version_name_key; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.application_versions
    ADD CONSTRAINT application_versions_version_name_key UNIQUE (version_name);


--
-- Name: dbos_migrations dbos_migrations_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.dbos_migrations
    ADD CONSTRAINT dbos_migrations_pkey PRIMARY KEY (version);


--
-- Name: event_dispatch_kv event_dispatch_kv_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.event_dispatch_kv
    ADD CONSTRAINT event_dispatch_kv_pkey PRIMARY KEY (service_name, workflow_fn_name, key);


--
-- Name: notifications notifications_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_pkey PRIMARY KEY (message_uuid);


--
-- Name: operation_outputs operation_outputs_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.operation_outputs
    ADD CONSTRAINT operation_outputs_pkey PRIMARY KEY (workflow_uuid, function_id);


--
-- Name: queues queues_name_key; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_name_key UNIQUE (name);


--
-- Name: queues queues_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.queues
    ADD CONSTRAINT queues_pkey PRIMARY KEY (queue_id);


--
-- Name: streams streams_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_pkey PRIMARY KEY (workflow_uuid, key, "offset");


--
-- Name: workflow_events_history workflow_events_history_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_pkey PRIMARY KEY (workflow_uuid, function_id, key);


--
-- Name: workflow_events workflow_events_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_pkey PRIMARY KEY (workflow_uuid, key);


--
-- Name: workflow_input workflow_input_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_input
    ADD CONSTRAINT workflow_input_pkey PRIMARY KEY (workflow_uuid);


--
-- Name: workflow_output workflow_output_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_output
    ADD CONSTRAINT workflow_output_pkey PRIMARY KEY (workflow_uuid);


--
-- Name: workflow_schedules workflow_schedules_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_pkey PRIMARY KEY (schedule_id);


--
-- Name: workflow_schedules workflow_schedules_schedule_name_key; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_schedules
    ADD CONSTRAINT workflow_schedules_schedule_name_key UNIQUE (schedule_name);


--
-- Name: workflow_status workflow_status_pkey; Type: CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_status
    ADD CONSTRAINT workflow_status_pkey PRIMARY KEY (workflow_uuid);


--
-- Name: alembic_version alembic_version_pkc; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);


--
-- Name: approvals pk_approvals; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT pk_approvals PRIMARY KEY (id);


--
-- Name: autonomy_noted pk_autonomy_noted; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.autonomy_noted
    ADD CONSTRAINT pk_autonomy_noted PRIMARY KEY (entry, alertname, environment);


--
-- Name: autonomy_settings pk_autonomy_settings; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.autonomy_settings
    ADD CONSTRAINT pk_autonomy_settings PRIMARY KEY (id);


--
-- Name: blast_radii pk_blast_radii; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.blast_radii
    ADD CONSTRAINT pk_blast_radii PRIMARY KEY (incident);


--
-- Name: budgets_spent pk_budgets_spent; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.budgets_spent
    ADD CONSTRAINT pk_budgets_spent PRIMARY KEY (name);


--
-- Name: chain pk_chain; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.chain
    ADD CONSTRAINT pk_chain PRIMARY KEY (id);


--
-- Name: clearings pk_clearings; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clearings
    ADD CONSTRAINT pk_clearings PRIMARY KEY (entry, alertname, environment);


--
-- Name: dead_letters pk_dead_letters; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.dead_letters
    ADD CONSTRAINT pk_dead_letters PRIMARY KEY (id);


--
-- Name: decisions pk_decisions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT pk_decisions PRIMARY KEY (incident, decider);


--
-- Name: deliveries pk_deliveries; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.deliveries
    ADD CONSTRAINT pk_deliveries PRIMARY KEY (id);


--
-- Name: evidence pk_evidence; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.evidence
    ADD CONSTRAINT pk_evidence PRIMARY KEY (incident, number);


--
-- Name: feedback pk_feedback; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT pk_feedback PRIMARY KEY (id);


--
-- Name: firings pk_firings; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.firings
    ADD CONSTRAINT pk_firings PRIMARY KEY (fingerprint);


--
-- Name: greylist pk_greylist; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.greylist
    ADD CONSTRAINT pk_greylist PRIMARY KEY (node);


--
-- Name: host_locks pk_host_locks; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.host_locks
    ADD CONSTRAINT pk_host_locks PRIMARY KEY (host);


--
-- Name: incidents pk_incidents; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT pk_incidents PRIMARY KEY (id);


--
-- Name: memory pk_memory; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.memory
    ADD CONSTRAINT pk_memory PRIMARY KEY (incident);


--
-- Name: model_calls pk_model_calls; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.model_calls
    ADD CONSTRAINT pk_model_calls PRIMARY KEY (id);


--
-- Name: outbox pk_outbox; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT pk_outbox PRIMARY KEY (id);


--
-- Name: plans pk_plans; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT pk_plans PRIMARY KEY (incident);


--
-- Name: predictions pk_predictions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.predictions
    ADD CONSTRAINT pk_predictions PRIMARY KEY (id);


--
-- Name: rounds pk_rounds; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.rounds
    ADD CONSTRAINT pk_rounds PRIMARY KEY (name);


--
-- Name: runs pk_runs; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT pk_runs PRIMARY KEY (id);


--
-- Name: storms pk_storms; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.storms
    ADD CONSTRAINT pk_storms PRIMARY KEY (receiver);


--
-- Name: switches pk_switches; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.switches
    ADD CONSTRAINT pk_switches PRIMARY KEY (name);


--
-- Name: transitions pk_transitions; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.transitions
    ADD CONSTRAINT pk_transitions PRIMARY KEY (sequence);


--
-- Name: verdicts pk_verdicts; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verdicts
    ADD CONSTRAINT pk_verdicts PRIMARY KEY (incident);


--
-- Name: verifications pk_verifications; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.verifications
    ADD CONSTRAINT pk_verifications PRIMARY KEY (run);


--
-- Name: waiting pk_waiting; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT pk_waiting PRIMARY KEY (number);


--
-- Name: workers pk_workers; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.workers
    ADD CONSTRAINT pk_workers PRIMARY KEY (id);


--
-- Name: approvals uq_approvals_incident_plan_asked; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.approvals
    ADD CONSTRAINT uq_approvals_incident_plan_asked UNIQUE (incident, plan, asked);


--
-- Name: incidents uq_incidents_fingerprint_activation; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.incidents
    ADD CONSTRAINT uq_incidents_fingerprint_activation UNIQUE (fingerprint, activation);


--
-- Name: outbox uq_outbox_transition_receiver; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT uq_outbox_transition_receiver UNIQUE (transition, receiver);


--
-- Name: runs uq_runs_incident_purpose_attempt_step; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.runs
    ADD CONSTRAINT uq_runs_incident_purpose_attempt_step UNIQUE (incident, purpose, attempt, step);


--
-- Name: waiting uq_waiting_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.waiting
    ADD CONSTRAINT uq_waiting_key UNIQUE (key);


--
-- Name: idx_application_versions_owner_timestamp; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_application_versions_owner_timestamp ON dbos.application_versions USING btree (application_name, version_timestamp DESC);


--
-- Name: idx_application_versions_timestamp; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_application_versions_timestamp ON dbos.application_versions USING btree (version_timestamp DESC);


--
-- Name: idx_operation_outputs_completed_at_function_name_v2; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_operation_outputs_completed_at_function_name_v2 ON dbos.operation_outputs USING btree (completed_at_epoch_ms, function_name) INCLUDE (application_name);


--
-- Name: idx_operation_outputs_retention; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_operation_outputs_retention ON dbos.operation_outputs USING btree (retention_timestamp);


--
-- Name: idx_workflow_input_retention; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_input_retention ON dbos.workflow_input USING btree (retention_timestamp);


--
-- Name: idx_workflow_output_retention; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_output_retention ON dbos.workflow_output USING btree (retention_timestamp);


--
-- Name: idx_workflow_status_attributes; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_attributes ON dbos.workflow_status USING gin (attributes) WHERE (attributes IS NOT NULL);


--
-- Name: idx_workflow_status_completed_at; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_completed_at ON dbos.workflow_status USING btree (completed_at) WHERE (completed_at IS NOT NULL);


--
-- Name: idx_workflow_status_deadline; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_deadline ON dbos.workflow_status USING btree (workflow_deadline_epoch_ms) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text, 'DELAYED'::text])) AND (workflow_deadline_epoch_ms IS NOT NULL));


--
-- Name: idx_workflow_status_delayed; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_delayed ON dbos.workflow_status USING btree (delay_until_epoch_ms) WHERE (status = 'DELAYED'::text);


--
-- Name: idx_workflow_status_failed; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_failed ON dbos.workflow_status USING btree (status, created_at) WHERE (status = ANY (ARRAY['ERROR'::text, 'CANCELLED'::text, 'MAX_RECOVERY_ATTEMPTS_EXCEEDED'::text]));


--
-- Name: idx_workflow_status_forked_from; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_forked_from ON dbos.workflow_status USING btree (forked_from) WHERE (forked_from IS NOT NULL);


--
-- Name: idx_workflow_status_in_flight_v2; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_in_flight_v2 ON dbos.workflow_status USING btree (queue_name, status, priority, created_at) INCLUDE (application_name) WHERE (status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text]));


--
-- Name: idx_workflow_status_parent_workflow_id; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_parent_workflow_id ON dbos.workflow_status USING btree (parent_workflow_id) WHERE (parent_workflow_id IS NOT NULL);


--
-- Name: idx_workflow_status_partition_dequeue_v3; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_partition_dequeue_v3 ON dbos.workflow_status USING btree (queue_name, status, queue_partition_key, priority, created_at, workflow_uuid) INCLUDE (application_name) WHERE ((status = ANY (ARRAY['ENQUEUED'::text, 'PENDING'::text])) AND (queue_partition_key IS NOT NULL));


--
-- Name: idx_workflow_status_pending; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_pending ON dbos.workflow_status USING btree (created_at) WHERE (status = 'PENDING'::text);


--
-- Name: idx_workflow_status_rate_limited; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_rate_limited ON dbos.workflow_status USING btree (queue_name, started_at_epoch_ms) WHERE (rate_limited = true);


--
-- Name: idx_workflow_status_schedule_name; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_schedule_name ON dbos.workflow_status USING btree (schedule_name) WHERE (schedule_name IS NOT NULL);


--
-- Name: idx_workflow_status_started_at; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_status_started_at ON dbos.workflow_status USING btree (started_at_epoch_ms) WHERE (started_at_epoch_ms IS NOT NULL);


--
-- Name: idx_workflow_topic; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX idx_workflow_topic ON dbos.notifications USING btree (destination_uuid, topic);


--
-- Name: uq_application_versions_owner_version; Type: INDEX; Schema: dbos; Owner: -
--

CREATE UNIQUE INDEX uq_application_versions_owner_version ON dbos.application_versions USING btree (application_name, version_name) WHERE (application_name IS NOT NULL);


--
-- Name: uq_application_versions_unclaimed_version; Type: INDEX; Schema: dbos; Owner: -
--

CREATE UNIQUE INDEX uq_application_versions_unclaimed_version ON dbos.application_versions USING btree (version_name) WHERE (application_name IS NULL);


--
-- Name: uq_workflow_status_dedup_id; Type: INDEX; Schema: dbos; Owner: -
--

CREATE UNIQUE INDEX uq_workflow_status_dedup_id ON dbos.workflow_status USING btree (queue_name, deduplication_id) WHERE (deduplication_id IS NOT NULL);


--
-- Name: workflow_status_created_at_index; Type: INDEX; Schema: dbos; Owner: -
--

CREATE INDEX workflow_status_created_at_index ON dbos.workflow_status USING btree (created_at);


--
-- Name: ix_autonomy_settings_entry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_autonomy_settings_entry ON public.autonomy_settings USING btree (entry);


--
-- Name: ix_dead_letters_hash; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_dead_letters_hash ON public.dead_letters USING btree (hash);


--
-- Name: ix_deliveries_open; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_deliveries_open ON public.deliveries USING btree (id) WHERE (NOT done);


--
-- Name: ix_feedback_incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_feedback_incident ON public.feedback USING btree (incident);


--
-- Name: ix_firings_again_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_firings_again_at ON public.firings USING btree (again_at);


--
-- Name: ix_firings_changed_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_firings_changed_at ON public.firings USING btree (changed_at);


--
-- Name: ix_host_locks_run; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_host_locks_run ON public.host_locks USING btree (run);


--
-- Name: ix_incidents_alertname; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_incidents_alertname ON public.incidents USING btree (alertname);


--
-- Name: ix_incidents_held_until; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_incidents_held_until ON public.incidents USING btree (held_until);


--
-- Name: ix_incidents_joined; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_incidents_joined ON public.incidents USING btree (joined);


--
-- Name: ix_incidents_state; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_incidents_state ON public.incidents USING btree (state);


--
-- Name: ix_incidents_updated_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_incidents_updated_at ON public.incidents USING btree (updated_at);


--
-- Name: ix_memory_words; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_memory_words ON public.memory USING gin (to_tsvector('simple'::regconfig, text));


--
-- Name: ix_model_calls_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_model_calls_at ON public.model_calls USING btree (at);


--
-- Name: ix_model_calls_incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_model_calls_incident ON public.model_calls USING btree (incident);


--
-- Name: ix_model_calls_question; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_model_calls_question ON public.model_calls USING btree (question);


--
-- Name: ix_notifications_due_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_notifications_due_at ON public.outbox USING btree (due_at);


--
-- Name: ix_predictions_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_predictions_at ON public.predictions USING btree (at);


--
-- Name: ix_predictions_node_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_predictions_node_at ON public.predictions USING btree (node, at);


--
-- Name: ix_runs_entry; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_runs_entry ON public.runs USING btree (entry);


--
-- Name: ix_runs_started_at; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_runs_started_at ON public.runs USING btree (started_at);


--
-- Name: ix_transitions_incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_transitions_incident ON public.transitions USING btree (incident);


--
-- Name: ix_verifications_incident; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_verifications_incident ON public.verifications USING btree (incident);


--
-- Name: ix_waiting_turn; Type: INDEX; Schema: public; Owner: -
--

CREATE INDEX ix_waiting_turn ON public.waiting USING btree (worker, place, urgency, stage, number);


--
-- Name: notifications dbos_notifications_trigger; Type: TRIGGER; Schema: dbos; Owner: -
--

CREATE TRIGGER dbos_notifications_trigger AFTER INSERT ON dbos.notifications FOR EACH ROW EXECUTE FUNCTION dbos.notifications_function();


--
-- Name: notifications notifications_destination_uuid_fkey; Type: FK CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.notifications
    ADD CONSTRAINT notifications_destination_uuid_fkey FOREIGN KEY (destination_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;


--
-- Name: streams streams_workflow_uuid_fkey; Type: FK CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.streams
    ADD CONSTRAINT streams_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;


--
-- Name: workflow_events_history workflow_events_history_workflow_uuid_fkey; Type: FK CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_events_history
    ADD CONSTRAINT workflow_events_history_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;


--
-- Name: workflow_events workflow_events_workflow_uuid_fkey; Type: FK CONSTRAINT; Schema: dbos; Owner: -
--

ALTER TABLE ONLY dbos.workflow_events
    ADD CONSTRAINT workflow_events_workflow_uuid_fkey FOREIGN KEY (workflow_uuid) REFERENCES dbos.workflow_status(workflow_uuid) ON UPDATE CASCADE ON DELETE CASCADE;


--
-- Name: host_locks fk_host_locks_run; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.host_locks
    ADD CONSTRAINT fk_host_locks_run FOREIGN KEY (run) REFERENCES public.runs(id);


--
-- PostgreSQL database dump complete
--

\unrestrict QQVeSApBuiKhJO6odEGORV0msVVxXAnN33VKO6QeTINLFTuGbpssht3hfBUfAIy

