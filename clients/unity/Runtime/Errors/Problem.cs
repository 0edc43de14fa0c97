using System;
using System.Collections.Generic;
using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>
    /// The problem document (RFC 9457) of an error. Members that do not belong to the code of the error are null.
    /// </summary>
    public sealed class Problem
    {
        private Problem(JObject json)
        {
            Type = TextOrNull(json, "type");
            Title = TextOrNull(json, "title");
            Status = (int?)LongOrNull(json, "status");
            Detail = TextOrNull(json, "detail");
            Code = TextOrNull(json, "code");
            RequestId = TextOrNull(json, "request_id");
            Errors = ReadErrors(json);
            MoreErrors = (int?)LongOrNull(json, "more_errors");
            SessionId = TextOrNull(json, "session_id");
            PlayerId = TextOrNull(json, "player_id");
            SessionStatus = StatusOrNull(json, "session_status");
            PlayerCount = (int?)LongOrNull(json, "player_count");
            MinPlayers = (int?)LongOrNull(json, "min_players");
            CurrentVersion = LongOrNull(json, "current_version");
            From = StatusOrNull(json, "from");
            To = StatusOrNull(json, "to");
            Allowed = ReadStatuses(json, "allowed");
        }

        /// <summary>A URI for the kind of problem; <c>about:blank</c>, because the code tells it.</summary>
        public string Type { get; }

        /// <summary>The name of the HTTP status.</summary>
        public string Title { get; }

        /// <summary>The HTTP status.</summary>
        public int? Status { get; }

        /// <summary>What happened, for people.</summary>
        public string Detail { get; }

        /// <summary>What happened, for programs; see <see cref="ErrorCodes"/>.</summary>
        public string Code { get; }

        /// <summary>The id of the request, which the log of the service has as well.</summary>
        public string RequestId { get; }

        /// <summary>What is wrong with each field, with <c>validation_error</c>; empty otherwise.</summary>
        public IReadOnlyList<FieldError> Errors { get; }

        /// <summary>How many more errors there are than <see cref="Errors"/> lists.</summary>
        public int? MoreErrors { get; }

        /// <summary>The session that the error is about, for example with <c>already_in_session</c>.</summary>
        public string SessionId { get; }

        /// <summary>The player that the error is about, for example with <c>player_not_found</c>.</summary>
        public string PlayerId { get; }

        /// <summary>The status of the session, for example with <c>session_not_joinable</c>.</summary>
        public SessionStatus? SessionStatus { get; }

        /// <summary>The number of members, with <c>not_enough_players</c> and <c>too_many_members</c>.</summary>
        public int? PlayerCount { get; }

        /// <summary>How many members the session needs to start, with <c>not_enough_players</c>.</summary>
        public int? MinPlayers { get; }

        /// <summary>The version that the resource has, with <c>version_mismatch</c>.</summary>
        public long? CurrentVersion { get; }

        /// <summary>The status that the session has, with <c>illegal_transition</c>.</summary>
        public SessionStatus? From { get; }

        /// <summary>The status that was asked for, with <c>illegal_transition</c>.</summary>
        public SessionStatus? To { get; }

        /// <summary>The statuses that may follow, with <c>illegal_transition</c>; empty otherwise.</summary>
        public IReadOnlyList<SessionStatus> Allowed { get; }

        /// <summary>The problem in a body, or null if the body is something else, like the page of a proxy.</summary>
        internal static Problem ReadOrNull(string body)
        {
            try
            {
                var problem = new Problem(JsonReading.ParseObject(body));
                return problem.Code == null ? null : problem;
            }
            catch (FormatException)
            {
                return null;
            }
        }

        // An error must never be hidden by another one, so a member of an unexpected type counts as absent.
        internal static string TextOrNull(JObject json, string name) => (json[name] as JValue)?.Value as string;

        private static long? LongOrNull(JObject json, string name) => (json[name] as JValue)?.Value as long?;

        private static SessionStatus? StatusOrNull(JObject json, string name)
        {
            string text = TextOrNull(json, name);
            return text == null ? (SessionStatus?)null : new SessionStatus(text);
        }

        private static List<SessionStatus> ReadStatuses(JObject json, string name)
        {
            var statuses = new List<SessionStatus>();
            foreach (JToken item in json[name] as JArray ?? new JArray())
            {
                var text = (item as JValue)?.Value as string;
                if (text != null)
                {
                    statuses.Add(new SessionStatus(text));
                }
            }
            return statuses;
        }

        private static List<FieldError> ReadErrors(JObject json)
        {
            var errors = new List<FieldError>();
            foreach (JToken item in json["errors"] as JArray ?? new JArray())
            {
                var error = item as JObject;
                if (error != null)
                {
                    errors.Add(new FieldError(error));
                }
            }
            return errors;
        }
    }
}
