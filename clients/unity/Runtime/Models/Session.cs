using System;
using System.Collections.Generic;
using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A session: a lobby that becomes a match.</summary>
    public sealed class Session
    {
        internal Session(JObject json)
        {
            JObject server = json.ObjectOrNull("server");
            SessionId = json.Text("session_id");
            Name = json.Text("name");
            GameMode = json.Text("game_mode");
            Region = json.TextOrNull("region");
            Status = new SessionStatus(json.Text("status"));
            Visibility = new Visibility(json.Text("visibility"));
            MaxPlayers = json.Int("max_players");
            MinPlayers = json.Int("min_players");
            PlayerCount = json.Int("player_count");
            FreeSlots = json.Int("free_slots");
            JoinInProgress = json.Bool("join_in_progress");
            HostPlayerId = json.TextOrNull("host_player_id");
            Members = json.List("members", member => new Member(member));
            Server = server == null ? null : new GameServer(server);
            Attributes = Attributes.Read(json.Object("attributes"));
            CreatedAt = json.Time("created_at");
            UpdatedAt = json.Time("updated_at");
            StartedAt = json.TimeOrNull("started_at");
            EndedAt = json.TimeOrNull("ended_at");
            Version = json.Long("version");
        }

        /// <summary>The id.</summary>
        public string SessionId { get; }

        /// <summary>The name to show.</summary>
        public string Name { get; }

        /// <summary>The game mode.</summary>
        public string GameMode { get; }

        /// <summary>The region, or null.</summary>
        public string Region { get; }

        /// <summary>The status.</summary>
        public SessionStatus Status { get; }

        /// <summary>Whether lists show the session.</summary>
        public Visibility Visibility { get; }

        /// <summary>The number of seats.</summary>
        public int MaxPlayers { get; }

        /// <summary>How many members the session needs to start.</summary>
        public int MinPlayers { get; }

        /// <summary>The number of seats taken.</summary>
        public int PlayerCount { get; }

        /// <summary>The number of free seats.</summary>
        public int FreeSlots { get; }

        /// <summary>Whether players may join while the session is active.</summary>
        public bool JoinInProgress { get; }

        /// <summary>The id of the host, or null.</summary>
        public string HostPlayerId { get; }

        /// <summary>The members, in the order of joining.</summary>
        public IReadOnlyList<Member> Members { get; }

        /// <summary>The game server, or null.</summary>
        public GameServer Server { get; }

        /// <summary>The attributes.</summary>
        public Attributes Attributes { get; }

        /// <summary>When the session was created.</summary>
        public DateTimeOffset CreatedAt { get; }

        /// <summary>When the session was changed last.</summary>
        public DateTimeOffset UpdatedAt { get; }

        /// <summary>When the session became active first, or null.</summary>
        public DateTimeOffset? StartedAt { get; }

        /// <summary>When the session ended in any way, or null.</summary>
        public DateTimeOffset? EndedAt { get; }

        /// <summary>The version: 1 at first, and one more after each change.</summary>
        public long Version { get; }
    }
}
