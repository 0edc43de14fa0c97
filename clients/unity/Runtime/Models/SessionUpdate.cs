using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A change of a session. What is not set is not sent, and stays as it is.</summary>
    public sealed class SessionUpdate
    {
        /// <summary>The status. The README of the service shows which one may follow which.</summary>
        public Optional<SessionStatus> Status { get; set; }

        /// <summary>The name to show, 1 to 64 characters.</summary>
        public Optional<string> Name { get; set; }

        /// <summary>The number of seats, 1 to 256, and not below the number of members.</summary>
        public Optional<int> MaxPlayers { get; set; }

        /// <summary>How many members the session needs to start.</summary>
        public Optional<int> MinPlayers { get; set; }

        /// <summary>The region; null clears it.</summary>
        public Optional<string> Region { get; set; }

        /// <summary>Whether lists show the session.</summary>
        public Optional<Visibility> Visibility { get; set; }

        /// <summary>Whether players may join while the session is active.</summary>
        public Optional<bool> JoinInProgress { get; set; }

        /// <summary>The new host, who must be a member.</summary>
        public Optional<string> HostPlayerId { get; set; }

        /// <summary>The game server; null clears it.</summary>
        public Optional<GameServer> Server { get; set; }

        /// <summary>The attributes, which replace all that were there.</summary>
        public Optional<Attributes> Attributes { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject();
            if (Status.IsSet)
            {
                json["status"] = Status.Value.Value;
            }
            json.AddIfSet("name", Name);
            json.AddIfSet("max_players", MaxPlayers);
            json.AddIfSet("min_players", MinPlayers);
            json.AddIfSet("region", Region);
            if (Visibility.IsSet)
            {
                json["visibility"] = Visibility.Value.Value;
            }
            json.AddIfSet("join_in_progress", JoinInProgress);
            json.AddIfSet("host_player_id", HostPlayerId);
            if (Server.IsSet)
            {
                json["server"] = Server.Value?.ToJson();
            }
            json.AddIfSet("attributes", Attributes);
            return json;
        }
    }
}
