using System;
using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A player.</summary>
    public sealed class Player
    {
        internal Player(JObject json)
        {
            PlayerId = json.Text("player_id");
            Username = json.Text("username");
            DisplayName = json.Text("display_name");
            Region = json.TextOrNull("region");
            Rating = json.Int("rating");
            Attributes = Attributes.Read(json.Object("attributes"));
            CreatedAt = json.Time("created_at");
            UpdatedAt = json.Time("updated_at");
            Version = json.Long("version");
        }

        /// <summary>The id.</summary>
        public string PlayerId { get; }

        /// <summary>The name, which is unique whatever the case.</summary>
        public string Username { get; }

        /// <summary>The name to show.</summary>
        public string DisplayName { get; }

        /// <summary>The region, or null.</summary>
        public string Region { get; }

        /// <summary>The rating, 0 to 100000.</summary>
        public int Rating { get; }

        /// <summary>The attributes.</summary>
        public Attributes Attributes { get; }

        /// <summary>When the player was created.</summary>
        public DateTimeOffset CreatedAt { get; }

        /// <summary>When the player was changed last.</summary>
        public DateTimeOffset UpdatedAt { get; }

        /// <summary>The version: 1 at first, and one more after each change.</summary>
        public long Version { get; }
    }
}
