using System;
using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A player who has a seat in a session.</summary>
    public sealed class Member
    {
        internal Member(JObject json)
        {
            PlayerId = json.Text("player_id");
            Team = json.TextOrNull("team");
            Ready = json.Bool("ready");
            JoinedAt = json.Time("joined_at");
        }

        /// <summary>The id of the player.</summary>
        public string PlayerId { get; }

        /// <summary>The team, or null.</summary>
        public string Team { get; }

        /// <summary>Whether the player is ready.</summary>
        public bool Ready { get; }

        /// <summary>When the player joined.</summary>
        public DateTimeOffset JoinedAt { get; }
    }
}
