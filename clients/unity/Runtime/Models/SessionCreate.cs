using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A session to create. What is null is not sent, and gets the default of the service.</summary>
    public sealed class SessionCreate
    {
        /// <summary>A session with the defaults of the service.</summary>
        public SessionCreate(string name, string gameMode, int maxPlayers)
        {
            Name = name;
            GameMode = gameMode;
            MaxPlayers = maxPlayers;
        }

        /// <summary>The name to show, 1 to 64 characters.</summary>
        public string Name { get; set; }

        /// <summary>The game mode, for example <c>duel</c>.</summary>
        public string GameMode { get; set; }

        /// <summary>The number of seats, 1 to 256.</summary>
        public int MaxPlayers { get; set; }

        /// <summary>How many members the session needs to start. By default 1.</summary>
        public int? MinPlayers { get; set; }

        /// <summary>The region, for example <c>eu-central-1</c>.</summary>
        public string Region { get; set; }

        /// <summary>Whether lists show the session. By default they do.</summary>
        public Visibility? Visibility { get; set; }

        /// <summary>Whether players may join while the session is active. By default they may not.</summary>
        public bool? JoinInProgress { get; set; }

        /// <summary>The player who becomes the host and takes the first seat.</summary>
        public string HostPlayerId { get; set; }

        /// <summary>The attributes.</summary>
        public Attributes Attributes { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject
            {
                ["name"] = Name,
                ["game_mode"] = GameMode,
                ["max_players"] = MaxPlayers,
            };
            json.AddUnlessNull("min_players", MinPlayers);
            json.AddUnlessNull("region", Region);
            json.AddUnlessNull("visibility", Visibility?.Value);
            json.AddUnlessNull("join_in_progress", JoinInProgress);
            json.AddUnlessNull("host_player_id", HostPlayerId);
            json.AddUnlessNull("attributes", Attributes?.ToJson());
            return json;
        }
    }
}
