using GameApi.Json;
using Newtonsoft.Json.Linq;

namespace GameApi
{
    /// <summary>A player to create. What is null is not sent, and gets the default of the service.</summary>
    public sealed class PlayerCreate
    {
        /// <summary>A player with this name and the defaults of the service.</summary>
        public PlayerCreate(string username)
        {
            Username = username;
        }

        /// <summary>The name, 3 to 32 characters, unique whatever the case.</summary>
        public string Username { get; set; }

        /// <summary>The id, 1 to 64 of <c>[A-Za-z0-9_-]</c>. The service generates one if it is null.</summary>
        public string PlayerId { get; set; }

        /// <summary>The name to show, 1 to 64 characters. By default the username.</summary>
        public string DisplayName { get; set; }

        /// <summary>The region, for example <c>eu-central-1</c>.</summary>
        public string Region { get; set; }

        /// <summary>The rating, 0 to 100000. By default 1000.</summary>
        public int? Rating { get; set; }

        /// <summary>The attributes.</summary>
        public Attributes Attributes { get; set; }

        internal JObject ToJson()
        {
            var json = new JObject { ["username"] = Username };
            json.AddUnlessNull("player_id", PlayerId);
            json.AddUnlessNull("display_name", DisplayName);
            json.AddUnlessNull("region", Region);
            json.AddUnlessNull("rating", Rating);
            json.AddUnlessNull("attributes", Attributes?.ToJson());
            return json;
        }
    }
}
